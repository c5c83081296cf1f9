//! Image calls.

use super::{Runtime, gone_is_fine};
use crate::{
    CallError,
    v1::{
        AuthConfig, Image, ImageFsInfoRequest, ImageFsInfoResponse, ImageSpec, ImageStatusRequest,
        ListImagesRequest, PodSandboxConfig, PullImageRequest, RemoveImageRequest,
    },
};

impl Runtime {
    /// Lists all images on the node.
    pub async fn list_images(&self) -> Result<Vec<Image>, CallError> {
        let mut client = self.images.clone();
        let request = ListImagesRequest { filter: None };
        let answer = self
            .call("ListImages", self.timeout, client.list_images(request))
            .await?;
        Ok(answer.images)
    }

    /// Looks an image up by reference or id; `None` means that it is not on the node.
    pub async fn image_status(&self, image: &str) -> Result<Option<Image>, CallError> {
        let mut client = self.images.clone();
        let request = ImageStatusRequest {
            image: Some(spec(image)),
            verbose: false,
        };
        let answer = self
            .call("ImageStatus", self.timeout, client.image_status(request))
            .await?;
        Ok(answer.image)
    }

    /// Pulls an image and gives its reference on the node (its id).
    ///
    /// There is no bound: a large image may take long. Dropping the future gives the pull up.
    /// `sandbox_config` tells the runtime which pod asks; runtimes may ignore it.
    pub async fn pull_image(
        &self,
        image: &str,
        auth: Option<AuthConfig>,
        sandbox_config: Option<PodSandboxConfig>,
    ) -> Result<String, CallError> {
        let mut client = self.images.clone();
        let request = PullImageRequest {
            image: Some(spec(image)),
            auth,
            sandbox_config,
        };
        match client.pull_image(request).await {
            Ok(answer) => Ok(answer.into_inner().image_ref),
            Err(status) => Err(CallError::call("PullImage", &status)),
        }
    }

    /// Removes an image with all its tags.
    pub async fn remove_image(&self, image: &str) -> Result<(), CallError> {
        let mut client = self.images.clone();
        let request = RemoveImageRequest {
            image: Some(spec(image)),
        };
        gone_is_fine(
            self.call("RemoveImage", self.timeout, client.remove_image(request))
                .await,
        )
    }

    /// Asks how much disk the images take.
    pub async fn image_fs_info(&self) -> Result<ImageFsInfoResponse, CallError> {
        let mut client = self.images.clone();
        self.call(
            "ImageFsInfo",
            self.timeout,
            client.image_fs_info(ImageFsInfoRequest {}),
        )
        .await
    }
}

fn spec(image: &str) -> ImageSpec {
    ImageSpec {
        image: image.to_owned(),
        ..ImageSpec::default()
    }
}

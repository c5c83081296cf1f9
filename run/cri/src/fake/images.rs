//! The fake runtime's image service.

use tonic::{Request, Response, Status};

use super::{Fake, state::full_name};
use crate::v1::{
    FilesystemIdentifier, FilesystemUsage, ImageFsInfoRequest, ImageFsInfoResponse,
    ImageStatusRequest, ImageStatusResponse, ListImagesRequest, ListImagesResponse,
    PullImageRequest, PullImageResponse, RemoveImageRequest, RemoveImageResponse, UInt64Value,
    image_service_server::ImageService,
};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ImageService for Fake {
    async fn list_images(&self, _: Request<ListImagesRequest>) -> Answer<ListImagesResponse> {
        Ok(Response::new(ListImagesResponse {
            images: self.images(),
        }))
    }

    async fn image_status(
        &self,
        request: Request<ImageStatusRequest>,
    ) -> Answer<ImageStatusResponse> {
        let name = request.into_inner().image.unwrap_or_default().image;
        let mut state = self.lock();
        state.failure("ImageStatus")?;
        let image = state.image(&name).cloned();
        Ok(Response::new(ImageStatusResponse {
            image,
            ..ImageStatusResponse::default()
        }))
    }

    async fn pull_image(&self, request: Request<PullImageRequest>) -> Answer<PullImageResponse> {
        let name = request.into_inner().image.unwrap_or_default().image;
        if name.is_empty() || name.chars().any(char::is_uppercase) {
            let text =
                format!("failed to parse image reference {name:?}: invalid reference format");
            return Err(Status::unknown(text));
        }
        self.change(|state| {
            state.begin("PullImage", &name)?;
            let known = state.registry.iter().find(|(known, _)| full_name(known) == full_name(&name));
            let full = full_name(&name);
            let unknown = || {
                Status::not_found(format!(
                    "failed to pull and unpack image {full:?}: failed to resolve reference {full:?}: {full}: not found"
                ))
            };
            known.map(|(_, outcome)| outcome.clone()).ok_or_else(unknown)??;
            if state.image(&name).is_none() {
                state.put_image(&full_name(&name));
            }
            let image_ref = state.image(&name).map(|image| image.id.clone()).unwrap_or_default();
            Ok(Response::new(PullImageResponse { image_ref }))
        })
    }

    async fn remove_image(
        &self,
        request: Request<RemoveImageRequest>,
    ) -> Answer<RemoveImageResponse> {
        let name = request.into_inner().image.unwrap_or_default().image;
        self.change(|state| {
            state.begin("RemoveImage", &name)?;
            let id = state.image(&name).map(|image| image.id.clone());
            state
                .images
                .retain(|_, image| Some(&image.id) != id.as_ref());
            Ok(Response::new(RemoveImageResponse {}))
        })
    }

    async fn image_fs_info(&self, _: Request<ImageFsInfoRequest>) -> Answer<ImageFsInfoResponse> {
        let mut state = self.lock();
        let used = state.images.values().map(|image| image.size).sum();
        let usage = FilesystemUsage {
            timestamp: state.now(),
            fs_id: Some(FilesystemIdentifier {
                mountpoint: "/".to_owned(),
            }),
            used_bytes: Some(UInt64Value { value: used }),
            inodes_used: Some(UInt64Value { value: 1 }),
        };
        let response = ImageFsInfoResponse {
            image_filesystems: vec![usage],
            ..ImageFsInfoResponse::default()
        };
        Ok(Response::new(response))
    }
}

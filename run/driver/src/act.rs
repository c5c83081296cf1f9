//! Performs what a decision asks for, and remembers what was written.

use client::recorder::Note;
use client::rest::DeleteOptions;
use client::{ClientError, Recorder, Rest};
use controllers::action::update_status;
use controllers::{Action, Decision, Event, Failure, Report};
use futures::future::join_all;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::Value;

/// Deletes under way at once.
const DELETES_MAX: usize = 32;

/// A write that the caches will show sooner or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The object has this version or a later one.
    Version { resource: Resource, version: u64 },
    /// The object is gone.
    Gone {
        resource: Resource,
        key: Key,
        uid: String,
    },
}

/// Why a decision was not carried out to its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The cache was behind: decide anew.
    Stale,
    /// The server refused, or did not answer.
    Failed(Failure),
}

/// Carries decisions out for one controller.
pub(crate) struct Actor<'a> {
    rest: &'a Rest,
    recorder: &'a Recorder,
    /// What was written so far.
    pub(crate) written: Vec<Written>,
}

impl<'a> Actor<'a> {
    pub(crate) fn new(rest: &'a Rest, recorder: &'a Recorder) -> Self {
        Self {
            rest,
            recorder,
            written: Vec::new(),
        }
    }

    /// Performs the actions in order, and the status last.
    pub(crate) async fn perform(&mut self, decision: &Decision) -> Result<(), Stopped> {
        let mut index = 0;
        while let Some(rest) = decision
            .actions
            .get(index..)
            .filter(|rest| !rest.is_empty())
        {
            let run = run_length(rest);
            let batch = rest.get(..run).unwrap_or(rest);
            match batch.first() {
                Some(Action::Create { .. }) => self.create_all(batch, index).await?,
                Some(Action::Delete { .. }) => self.delete_all(batch, index).await?,
                Some(Action::Patch {
                    resource,
                    key,
                    subresource,
                    patch,
                }) => {
                    self.patch(resource, key, *subresource, patch, index)
                        .await?;
                }
                Some(Action::Event(event)) => self.recorder.record(note(event)),
                None => {}
            }
            index += run;
        }
        self.write_status(decision).await
    }

    async fn write_status(&mut self, decision: &Decision) -> Result<(), Stopped> {
        let Some(status) = &decision.status else {
            return Ok(());
        };
        let Some(Action::Patch {
            resource,
            key,
            subresource,
            patch,
        }) = update_status(&status.resource, &status.seen, &status.status)
        else {
            return Ok(());
        };
        self.patch(&resource, &key, subresource, &patch, decision.actions.len())
            .await
    }

    /// Creates in batches that double: when the first fails, the others are not tried.
    ///
    /// In a namespace that goes away nothing is created, and nothing else is held up by that. Source: controllers of
    /// upstream, which ignore `NamespaceTerminatingCause`.
    async fn create_all(&mut self, actions: &[Action], first: usize) -> Result<(), Stopped> {
        let (mut done, mut size) = (0, 1);
        while let Some(rest) = actions.get(done..).filter(|rest| !rest.is_empty()) {
            let batch = rest.get(..size.min(rest.len())).unwrap_or(rest);
            let creates = batch.iter().filter_map(|action| match action {
                Action::Create {
                    resource,
                    object,
                    report,
                } => Some((resource, object, report)),
                _ => None,
            });
            let api = self.rest;
            let sent = creates.map(|(resource, object, report)| async move {
                (resource, report, api.create(resource, object).await)
            });
            let outcomes = join_all(sent).await;
            let (mut stopped, mut goes_away) = (None, false);
            for (at, (resource, report, outcome)) in outcomes.into_iter().enumerate() {
                if outcome
                    .as_ref()
                    .is_err_and(ClientError::is_namespace_terminating)
                {
                    goes_away = true;
                    continue;
                }
                if let Err(why) =
                    self.created(resource, report.as_ref(), outcome, first + done + at)
                {
                    stopped.get_or_insert(why);
                }
            }
            if let Some(stopped) = stopped {
                return Err(stopped);
            }
            if goes_away {
                return Ok(());
            }
            done += batch.len();
            size *= 2;
        }
        Ok(())
    }

    fn created(
        &mut self,
        resource: &Resource,
        report: Option<&Report>,
        outcome: Result<Object, ClientError>,
        index: usize,
    ) -> Result<(), Stopped> {
        match outcome {
            Ok(object) => {
                self.note_version(resource, &object);
                if let Some(report) = report {
                    self.recorder.record(note(&report.done(object.name())));
                }
                Ok(())
            }
            Err(error) => {
                let failure = failure(&error, index);
                // It may be there already, and only the cache be behind.
                if let Some(report) = report.filter(|_| !error.is_already_exists()) {
                    self.recorder.record(note(&report.failed(&failure.message)));
                }
                Err(Stopped::Failed(failure))
            }
        }
    }

    async fn delete_all(&mut self, actions: &[Action], first: usize) -> Result<(), Stopped> {
        for (chunk, batch) in actions.chunks(DELETES_MAX).enumerate() {
            let sent = batch.iter().map(|action| self.delete(action));
            let outcomes = join_all(sent).await;
            let mut stopped = None;
            for (at, outcome) in outcomes.into_iter().enumerate() {
                match outcome {
                    Ok(written) => self.written.extend(written),
                    Err(error) if error.is_conflict() => {
                        stopped.get_or_insert(Stopped::Stale);
                    }
                    Err(error) => {
                        let failure = failure(&error, first + chunk * DELETES_MAX + at);
                        stopped.get_or_insert(Stopped::Failed(failure));
                    }
                }
            }
            if let Some(stopped) = stopped {
                return Err(stopped);
            }
        }
        Ok(())
    }

    async fn delete(&self, action: &Action) -> Result<Option<Written>, ClientError> {
        let Action::Delete {
            resource,
            key,
            uid,
            resource_version,
            grace_seconds,
            propagation,
            report,
        } = action
        else {
            return Ok(None);
        };
        let options = DeleteOptions {
            uid: uid.clone(),
            resource_version: resource_version.clone(),
            grace_seconds: *grace_seconds,
            propagation: propagation.map(controllers::Propagation::as_str),
        };
        let outcome = self.rest.delete(resource, key, &options).await;
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            // Replaced by another of the same name: the one that was seen is no more.
            Err(error) if error.is_conflict() && resource_version.is_none() => return Ok(None),
            Err(error) => {
                if let Some(report) = report {
                    self.recorder
                        .record(note(&report.failed(&error.to_string())));
                }
                return Err(error);
            }
        };
        if let Some(report) = report {
            self.recorder.record(note(&report.done(&key.name)));
        }
        let is_leaving = answer.kind() != "Status" && answer.deletion_timestamp().is_some();
        Ok(Some(match answer.resource_version().parse() {
            Ok(version) if is_leaving => Written::Version {
                resource: resource.clone(),
                version,
            },
            _ => Written::Gone {
                resource: resource.clone(),
                key: key.clone(),
                uid: uid.clone(),
            },
        }))
    }

    async fn patch(
        &mut self,
        resource: &Resource,
        key: &Key,
        subresource: Option<&str>,
        patch: &Value,
        index: usize,
    ) -> Result<(), Stopped> {
        match self.rest.patch(resource, key, subresource, patch).await {
            Ok(object) => {
                self.note_version(resource, &object);
                Ok(())
            }
            Err(error) if error.is_not_found() || error.is_conflict() => Err(Stopped::Stale),
            Err(error) => Err(Stopped::Failed(failure(&error, index))),
        }
    }

    fn note_version(&mut self, resource: &Resource, object: &Object) {
        if let Ok(version) = object.resource_version().parse() {
            self.written.push(Written::Version {
                resource: resource.clone(),
                version,
            });
        }
    }
}

/// How many actions from the start may go out together.
fn run_length(actions: &[Action]) -> usize {
    let count = |is_alike: fn(&Action) -> bool| {
        actions
            .iter()
            .take_while(|action| is_alike(action))
            .count()
            .max(1)
    };
    match actions.first() {
        Some(Action::Create { .. }) => count(|action| matches!(action, Action::Create { .. })),
        Some(Action::Delete { .. }) => count(|action| matches!(action, Action::Delete { .. })),
        _ => 1,
    }
}

fn failure(error: &ClientError, index: usize) -> Failure {
    Failure {
        index,
        code: error.code(),
        reason: error.reason().to_owned(),
        message: error.to_string(),
    }
}

/// An event as the recorder takes it.
pub(crate) fn note(event: &Event) -> Note {
    let regarding = event.regarding.clone();
    Note {
        api_version: regarding.api_version,
        kind: regarding.kind,
        namespace: regarding.namespace,
        name: regarding.name,
        uid: regarding.uid,
        resource_version: regarding.resource_version,
        field_path: String::new(),
        is_warning: event.is_warning,
        reason: event.reason.to_owned(),
        message: event.message.clone(),
    }
}

//! A cluster under observation: the world and the board, fed by one follower per kind.

use std::collections::BTreeSet;
use std::time::Duration;

use client::rest::Rest;
use jiff::Timestamp;
use status::Config;
use tokio::sync::mpsc;

use crate::board::{Board, BoardChange, View};
use crate::discover::{self, Plan, Role};
use crate::error::StatusError;
use crate::follow::{News, Source, reading_of};
use crate::world::{Id, Reading, World};

/// How long a cluster may take for its first answers.
const ANSWER_SECONDS_MAX: u64 = 30;
/// News handled before verdicts are told.
const BATCH_NEWS_MAX: usize = 4096;

/// Something about the cluster that the reader of verdicts must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What cannot be read: plural and group.
    pub what: String,
    /// Why.
    pub why: String,
    /// Whether workloads of that kind are missing from what is shown.
    pub hides_workloads: bool,
}

/// The live state of a cluster's workloads.
pub struct Session {
    /// The objects.
    pub world: World,
    /// The verdicts.
    pub board: Board,
    silent: Vec<String>,
    news: Option<mpsc::Receiver<News>>,
    touched: BTreeSet<Id>,
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, StatusError> {
    let limit = Duration::from_secs(ANSWER_SECONDS_MAX);
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| StatusError::Slow {
            seconds: ANSWER_SECONDS_MAX,
        })
}

impl Session {
    /// Finds out what a cluster serves and plans what to follow for what a user named.
    pub(crate) async fn plan(
        rest: &Rest,
        named: &[String],
    ) -> Result<(Plan, Vec<String>), StatusError> {
        let (served, silent) = in_time(discover::served(rest)).await??;
        let plan = discover::plan(&served, named)?;
        let has_pods = plan
            .followed
            .iter()
            .any(|followed| followed.role == Role::Pod);
        if has_pods {
            Ok((plan, silent))
        } else {
            Err(StatusError::NotKubernetes)
        }
    }

    /// Reads everything once.
    pub async fn once(
        rest: &Rest,
        named: &[String],
        view: impl FnOnce(&Plan) -> Result<View, StatusError>,
        now: impl Fn() -> Timestamp,
    ) -> Result<Self, StatusError> {
        let (plan, silent) = Self::plan(rest, named).await?;
        let view = view(&plan)?;
        let sources = sources(rest, &plan, &view);
        let mut session = Self::new(plan, view, silent, None);
        let limit = Duration::from_secs(ANSWER_SECONDS_MAX);
        let lists = sources.iter().map(|source| async move {
            let answer = tokio::time::timeout(limit, source.list()).await;
            (source.kind, answer)
        });
        for (kind, answer) in futures::future::join_all(lists).await {
            match answer {
                Ok(Ok((objects, _))) => session.world.replace(kind, objects),
                Ok(Err(error)) => session.world.fail(kind, reading_of(&error)),
                Err(_) => {
                    let why = format!("no answer within {ANSWER_SECONDS_MAX} s");
                    session.world.fail(kind, Reading::Failed(why))
                }
            };
        }
        let everything: Vec<_> = session.world.subjects().collect();
        session.board.settle(&session.world, everything, now());
        Ok(session)
    }

    /// Follows a cluster; returns once every kind has answered, or could not.
    pub async fn follow(
        rest: &Rest,
        named: &[String],
        view: impl FnOnce(&Plan) -> Result<View, StatusError>,
        now: impl Fn() -> Timestamp,
    ) -> Result<Self, StatusError> {
        let (plan, silent) = Self::plan(rest, named).await?;
        let view = view(&plan)?;
        let (sender, receiver) = mpsc::channel(BATCH_NEWS_MAX);
        for source in sources(rest, &plan, &view) {
            tokio::spawn(source.follow(sender.clone()));
        }
        let mut session = Self::new(plan, view, silent, Some(receiver));
        let limit = tokio::time::Instant::now() + Duration::from_secs(ANSWER_SECONDS_MAX);
        while !session.world.is_complete() {
            if tokio::time::timeout_at(limit, session.hear())
                .await
                .is_err()
            {
                session.give_up_pending();
            }
        }
        let everything: Vec<_> = session.world.subjects().collect();
        session.touched.clear();
        session.board.settle(&session.world, everything, now());
        Ok(session)
    }

    fn new(
        plan: Plan,
        view: View,
        silent: Vec<String>,
        news: Option<mpsc::Receiver<News>>,
    ) -> Self {
        Self {
            world: World::new(plan.followed),
            board: Board::new(view, Config::spec()),
            silent,
            news,
            touched: BTreeSet::new(),
        }
    }

    /// Kinds that have not answered in time are told as failed; their followers go on trying.
    fn give_up_pending(&mut self) {
        let pending: Vec<_> = (0..self.world.followed().len())
            .filter(|kind| self.world.reading(*kind) == &Reading::Pending)
            .collect();
        for kind in pending {
            let why = format!("no answer within {ANSWER_SECONDS_MAX} s");
            self.world.fail(kind, Reading::Failed(why));
        }
    }

    /// Waits for news and puts it into the world.
    async fn hear(&mut self) {
        let Some(news) = &mut self.news else {
            return std::future::pending().await;
        };
        let mut batch = Vec::new();
        if news.recv_many(&mut batch, BATCH_NEWS_MAX).await == 0 {
            return std::future::pending().await;
        }
        for news in batch {
            let touched = match news {
                News::All(kind, objects) => self.world.replace(kind, objects),
                News::Applied(kind, object) => self.world.apply(kind, *object),
                News::Deleted(kind, key) => self.world.delete(kind, &key),
                News::Failed(kind, reading) => self.world.fail(kind, reading),
            };
            self.touched.extend(touched);
        }
    }

    /// Waits until verdicts may have changed, by news or by time, and says which did. The answer may
    /// be empty, when only a notice changed.
    pub async fn changed(&mut self, now: impl Fn() -> Timestamp) -> Vec<BoardChange> {
        let wake = self.board.next_wake();
        let alarm = async {
            match wake {
                Some(at) => {
                    let wait = Duration::try_from(at.duration_since(now())).unwrap_or_default();
                    tokio::time::sleep(wait).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.hear() => {}
            () = alarm => {}
        }
        let now = now();
        let mut touched = std::mem::take(&mut self.touched);
        touched.extend(self.board.due(now));
        self.board.settle(&self.world, touched, now)
    }

    /// What could not be read.
    pub fn notices(&self) -> Vec<Notice> {
        let kinds = self.world.followed().iter().enumerate();
        let kinds = kinds.filter_map(|(index, followed)| {
            let why = match self.world.reading(index) {
                Reading::Pending | Reading::Known => return None,
                Reading::Failed(why) => why.clone(),
                Reading::Forbidden(_) if !followed.resource.is_namespaced => {
                    "listing them is forbidden".to_owned()
                }
                Reading::Forbidden(_) => match self.board.namespace() {
                    Some(namespace) => {
                        format!("listing them is forbidden in namespace {namespace}")
                    }
                    None => {
                        "listing them is forbidden in all namespaces at once, choose one with -n"
                            .to_owned()
                    }
                },
            };
            Some(Notice {
                what: followed.resource.group_resource().to_string(),
                why,
                hides_workloads: self.board.shows(&self.world, index),
            })
        });
        let groups = self.silent.iter().map(|group| Notice {
            what: group.clone(),
            why: "the API group does not answer".to_owned(),
            // Groups of Kubernetes' own extensions (metrics) hold no workloads.
            hides_workloads: !group.contains(".k8s.io/"),
        });
        merged(kinds.chain(groups))
    }
}

/// One notice for all that has the same cause.
fn merged(all: impl Iterator<Item = Notice>) -> Vec<Notice> {
    let mut notices: Vec<Notice> = Vec::new();
    for notice in all {
        match notices.iter_mut().find(|known| known.why == notice.why) {
            Some(known) => {
                known.what = format!("{}, {}", known.what, notice.what);
                known.hides_workloads |= notice.hides_workloads;
            }
            None => notices.push(notice),
        }
    }
    notices
}

/// One source per kind. Cluster-wide kinds, and everything when no namespace is chosen, are read
/// everywhere.
fn sources(rest: &Rest, plan: &Plan, view: &View) -> Vec<Source> {
    let namespace = view.namespace.clone().unwrap_or_default();
    plan.followed
        .iter()
        .enumerate()
        .map(|(kind, followed)| Source {
            rest: rest.clone(),
            resource: followed.resource.clone(),
            namespace: if followed.resource.is_namespaced {
                namespace.clone()
            } else {
                String::new()
            },
            kind,
        })
        .collect()
}

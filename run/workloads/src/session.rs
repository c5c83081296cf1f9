//! A cluster under observation: the world and the board, fed by one follower per kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::rest::Rest;
use jiff::Timestamp;
use status::Config;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::board::{Board, BoardChange, View};
use crate::discover::{self, Followed, Plan, Role};
use crate::error::StatusError;
use crate::follow::{ANSWER_MAX, News, Source};
use crate::world::{Id, Reading, World};
use crate::{kinds, pulse};

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
    following: Option<Following>,
    touched: BTreeSet<Id>,
}

/// What is going on to keep a session up to date.
struct Following {
    rest: Rest,
    sender: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    /// Begins all watches anew.
    renew: watch::Sender<()>,
    followers: BTreeMap<usize, AbortHandle>,
}

impl Following {
    fn begin(&mut self, source: Source) {
        let kind = source.kind;
        let following = source.follow(self.sender.clone(), self.renew.subscribe());
        let handle = tokio::spawn(following).abort_handle();
        self.followers.insert(kind, handle);
    }
}

/// An answer, unless it takes too long.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, StatusError> {
    tokio::time::timeout(ANSWER_MAX, work)
        .await
        .map_err(|_| StatusError::Slow {
            seconds: ANSWER_MAX.as_secs(),
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
        let lists = sources
            .iter()
            .map(|source| async move { (source.kind, source.list(None).await) });
        for (kind, answer) in futures::future::join_all(lists).await {
            match answer {
                Ok((objects, _)) => session.world.load(kind, objects),
                Err(broken) => {
                    session.world.fail(kind, broken.reading());
                }
            }
        }
        session.board.fill(&session.world, now());
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
        let (sender, news) = mpsc::channel(BATCH_NEWS_MAX);
        let mut following = Following {
            rest: rest.clone(),
            sender: sender.clone(),
            news,
            renew: watch::Sender::new(()),
            followers: BTreeMap::new(),
        };
        for source in sources(rest, &plan, &view) {
            following.begin(source);
        }
        if named.is_empty() {
            tokio::spawn(kinds::follow(rest.clone(), sender));
        }
        let mut session = Self::new(plan, view, silent, Some(following));
        while !session.world.is_complete() {
            if tokio::time::timeout(ANSWER_MAX, session.hear(Heard::First))
                .await
                .is_err()
            {
                session.give_up_pending();
            }
        }
        session.touched.clear();
        session.board.fill(&session.world, now());
        Ok(session)
    }

    /// Asks the cluster now and then whether it is still there, so that what is known of a cluster that
    /// has vanished without a sign is not taken for fresh.
    pub fn watch_over(&self) {
        if let Some(following) = &self.following {
            let pulse = pulse::follow(following.rest.clone(), following.sender.clone());
            tokio::spawn(pulse);
        }
    }

    fn new(plan: Plan, view: View, silent: Vec<String>, following: Option<Following>) -> Self {
        Self {
            world: World::new(plan.followed),
            board: Board::new(view, Config::spec()),
            silent,
            following,
            touched: BTreeSet::new(),
        }
    }

    /// Kinds that have not answered in time are told as failed; their followers go on trying.
    fn give_up_pending(&mut self) {
        let pending: Vec<_> = (0..self.world.followed().len())
            .filter(|kind| self.world.reading(*kind) == &Reading::Pending)
            .collect();
        for kind in pending {
            let why = format!("no answer within {} s", ANSWER_MAX.as_secs());
            self.world.fail(kind, Reading::Failed(why));
        }
    }

    /// Waits for news and puts it into the world.
    async fn hear(&mut self, heard: Heard) {
        let Some(following) = &mut self.following else {
            return std::future::pending().await;
        };
        let mut batch = Vec::new();
        if following.news.recv_many(&mut batch, BATCH_NEWS_MAX).await == 0 {
            return std::future::pending().await;
        }
        for news in batch {
            let world = &mut self.world;
            let touched = match news {
                News::Page => BTreeSet::new(),
                News::All(kind, objects) => match heard {
                    Heard::First => {
                        world.load(kind, objects);
                        BTreeSet::new()
                    }
                    Heard::Later => world.replace(kind, objects),
                },
                News::Applied(kind, object) => world.apply(kind, *object),
                News::Deleted(kind, key) => world.delete(kind, &key),
                News::Failed(kind, reading) => world.fail(kind, reading),
                News::Kinds(kinds, silent) => self.learn(kinds, silent),
                News::Silent(why) => self.fall_silent(why),
            };
            self.touched.extend(touched);
        }
    }

    /// Follows kinds that are new, and forgets those that are served no more. What a group that does not
    /// answer serves is not known, so it stays.
    fn learn(&mut self, served: Vec<Followed>, silent: Vec<String>) -> BTreeSet<Id> {
        let known: Vec<(usize, Followed)> = self
            .world
            .followed()
            .iter()
            .cloned()
            .enumerate()
            .filter(|(kind, each)| {
                kinds::is_custom(each) && *self.world.reading(*kind) != Reading::Gone
            })
            .collect();
        let mut touched = BTreeSet::new();
        for (kind, each) in &known {
            let is_silent = silent.contains(&each.resource.api_version());
            if !is_silent && !served.contains(each) {
                if let Some(following) = &mut self.following
                    && let Some(follower) = following.followers.remove(kind)
                {
                    follower.abort();
                }
                touched.extend(self.world.retire(*kind));
            }
        }
        for each in served {
            if known.iter().any(|(_, known)| *known == each) {
                continue;
            }
            let namespace = self.board.namespace().unwrap_or_default();
            let kind = self.world.followed().len();
            if let Some(following) = &mut self.following {
                following.begin(source(&following.rest, &each, kind, namespace));
            }
            self.world.follow(each);
        }
        self.silent = silent;
        touched
    }

    /// The whole cluster does not answer, or does so again; then no watch is trusted to have heard
    /// everything.
    fn fall_silent(&mut self, why: Option<String>) -> BTreeSet<Id> {
        if why.is_none()
            && let Some(following) = &self.following
        {
            following.renew.send_replace(());
        }
        self.world.fall_silent(why)
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
            () = self.hear(Heard::Later) => {}
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
                Reading::Pending | Reading::Known | Reading::Gone => return None,
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
        let cluster = self.world.silence().map(|why| Notice {
            what: "the cluster".to_owned(),
            why: why.to_owned(),
            hides_workloads: true,
        });
        merged(cluster.into_iter().chain(kinds).chain(groups))
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

/// Whether verdicts were asked for already.
#[derive(Clone, Copy)]
enum Heard {
    /// Everything is judged once all is there.
    First,
    /// What is touched is judged at once.
    Later,
}

/// One source per kind.
fn sources(rest: &Rest, plan: &Plan, view: &View) -> Vec<Source> {
    let namespace = view.namespace.as_deref().unwrap_or_default();
    let followed = plan.followed.iter().enumerate();
    followed
        .map(|(kind, followed)| source(rest, followed, kind, namespace))
        .collect()
}

/// Cluster-wide kinds, and everything when no namespace is chosen, are read everywhere.
fn source(rest: &Rest, followed: &Followed, kind: usize, namespace: &str) -> Source {
    let namespace = if followed.resource.is_namespaced {
        namespace.to_owned()
    } else {
        String::new()
    };
    Source {
        rest: rest.clone(),
        resource: followed.resource.clone(),
        role: followed.role,
        namespace,
        kind,
    }
}

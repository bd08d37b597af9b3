//! Jobs, folders, the queue and builds: [`Server`].

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

/// The state of Jenkins.
pub(super) struct Server {
    /// By full name, `FOLDER/JOB`.
    pub(super) items: BTreeMap<String, Item>,
    pub(super) queue: Vec<QueueItem>,
}

pub(super) enum Item {
    Folder,
    Job(Job),
}

#[derive(Default)]
pub(super) struct Job {
    pub(super) parameters: &'static [Parameter],
    /// Whether a build runs until it is aborted.
    endless: bool,
    /// In the order of their numbers, which start with 1.
    pub(super) builds: Vec<Build>,
}

/// The definition of a parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
}

pub(super) struct QueueItem {
    pub(super) id: usize,
    pub(super) job: String,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) user: String,
    pub(super) since: u128,
    /// The number of the build, once it runs.
    pub(super) build: Option<usize>,
    /// Number of reads since it was added.
    age: usize,
}

pub(super) struct Build {
    pub(super) number: usize,
    pub(super) queue_id: usize,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) user: String,
    pub(super) started: u128,
    pub(super) duration: u128,
    pub(super) log: String,
    pub(super) result: Option<&'static str>,
    step: usize,
}

/// Why a build was not added to the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// There is no such job, or it is a folder.
    NoJob,
    /// The job has parameters, but `build` was called.
    HasParameters,
    /// The job has no parameters, but `buildWithParameters` was called.
    HasNoParameters,
}

impl Default for Server {
    fn default() -> Self {
        let job = |parameters| Item::Job(Job { parameters, ..Job::default() });
        let items = [
            ("app", job(&[])),
            ("deploy", job(DEPLOY_PARAMETERS)),
            ("docs", job(&[])),
            ("soak-test", Item::Job(Job { endless: true, ..Job::default() })),
            ("team", Item::Folder),
            ("team/api", job(&[])),
            ("team/web", Item::Folder),
            ("team/web/site", job(&[])),
        ];
        let items = items.into_iter().map(|(name, item)| (name.to_owned(), item)).collect();
        Self { items, queue: Vec::new() }
    }
}

impl Server {
    /// Returns the names and items directly in a folder. The folder `""` is the root.
    pub(super) fn children(&self, folder: &str) -> impl Iterator<Item = (&str, &Item)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.items.iter().filter_map(move |(name, item)| {
            let rest = name.strip_prefix(&prefix)?;
            (!rest.contains('/')).then_some((name.as_str(), item))
        })
    }

    pub(super) fn job(&self, name: &str) -> Option<&Job> {
        match self.items.get(name)? {
            Item::Job(job) => Some(job),
            Item::Folder => None,
        }
    }

    fn job_mut(&mut self, name: &str) -> Option<&mut Job> {
        match self.items.get_mut(name)? {
            Item::Job(job) => Some(job),
            Item::Folder => None,
        }
    }

    /// Adds a build to the queue and returns the ID of its queue item. `given` is `None` for a build without parameters.
    pub(super) fn enqueue(
        &mut self,
        name: &str,
        given: Option<&[(String, String)]>,
        user: &str,
    ) -> Result<usize, NotQueued> {
        let job = self.job(name).ok_or(NotQueued::NoJob)?;
        let parameters = match given {
            None if job.parameters.is_empty() => Vec::new(),
            None => return Err(NotQueued::HasParameters),
            Some(_) if job.parameters.is_empty() => return Err(NotQueued::HasNoParameters),
            // As in Jenkins, undefined parameters are dropped.
            Some(given) => job.parameters.iter().map(|parameter| parameter.value(given)).collect(),
        };
        let id = self.queue.len() + 1;
        self.queue.push(QueueItem {
            id,
            job: name.to_owned(),
            parameters,
            user: user.to_owned(),
            since: now(),
            build: None,
            age: 0,
        });
        Ok(id)
    }

    /// Makes progress: each running build writes a line, and the queue starts builds.
    pub(super) fn advance(&mut self) {
        for job in self.items.values_mut() {
            if let Item::Job(job) = job {
                let endless = job.endless;
                job.builds.iter_mut().for_each(|build| build.advance(endless));
            }
        }
        for index in 0..self.queue.len() {
            self.queue[index].age += 1;
            if self.queue[index].build.is_none() && self.queue[index].age > QUIET_READS {
                self.start(index);
            }
        }
    }

    fn start(&mut self, index: usize) {
        let item = &self.queue[index];
        let (name, queue_id) = (item.job.clone(), item.id);
        let (parameters, user) = (item.parameters.clone(), item.user.clone());
        let job = self.job_mut(&name).expect("only jobs are queued, and they are never removed");
        let number = job.builds.len() + 1;
        let log = format!(
            "Started by user {user}\nRunning as SYSTEM\nBuilding in workspace /var/jenkins_home/workspace/{name}\n"
        );
        let (started, duration, result) = (now(), 0, None);
        job.builds.push(Build {
            number,
            queue_id,
            parameters,
            user,
            started,
            duration,
            log,
            result,
            step: 0,
        });
        self.queue[index].build = Some(number);
    }

    /// Aborts a build. Returns whether it exists. A build that has ended does not change.
    pub(super) fn stop(&mut self, name: &str, number: usize, user: &str) -> bool {
        let build = self.job_mut(name).and_then(|job| job.builds.get_mut(number.checked_sub(1)?));
        let Some(build) = build else { return false };
        if build.result.is_none() {
            build.log.push_str(&format!("Build was aborted\nAborted by {user}\n"));
            build.finish("ABORTED");
        }
        true
    }
}

impl Job {
    pub(super) fn build(&self, number: usize) -> Option<&Build> {
        self.builds.get(number.checked_sub(1)?)
    }
}

impl Parameter {
    fn value(&self, given: &[(String, String)]) -> (String, String) {
        let value = given.iter().find(|(name, _)| name == self.name).map_or(self.default, |(_, value)| value);
        (self.name.to_owned(), value.to_owned())
    }
}

impl Build {
    fn advance(&mut self, endless: bool) {
        if self.result.is_some() || self.step >= MAX_STEPS {
            return;
        }
        self.step += 1;
        self.log.push_str(&format!("+ step {}\n", self.step));
        if endless {
            self.log.push_str(&format!("{}\n", ".".repeat(1_000)));
        }
        if self.step == STEPS && !endless {
            self.finish("SUCCESS");
        }
    }

    fn finish(&mut self, result: &'static str) {
        self.result = Some(result);
        self.duration = now().saturating_sub(self.started);
        self.log.push_str(&format!("Finished: {result}\n"));
    }
}

/// Milliseconds since 1970, as in Jenkins's JSON.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

const DEPLOY_PARAMETERS: &[Parameter] =
    &[Parameter { name: "TARGET", default: "staging" }, Parameter { name: "VERSION", default: "latest" }];

/// Number of reads after which a new build is still in the queue.
const QUIET_READS: usize = 1;
/// Lines that a build writes before it succeeds.
const STEPS: usize = 3;
/// Maximum number of steps of an endless build. Each writes a line of 1000 dots.
const MAX_STEPS: usize = 10_000;

//! The JSON documents of Jenkins's remote access API: [`Documents`].

use serde_json::{Value, json};

use super::server::{Build, Item, Job, QueueItem, Server};

/// Writes documents with URLs that start with `root`, which ends with a slash.
pub(super) struct Documents<'a> {
    pub(super) server: &'a Server,
    pub(super) root: &'a str,
}

impl Documents<'_> {
    /// The document at `/api/json`.
    pub(super) fn controller(&self) -> Value {
        json!({
            "_class": "hudson.model.Hudson",
            "assignedLabels": [{ "name": "built-in" }],
            "mode": "NORMAL",
            "nodeDescription": "the Jenkins controller's built-in node",
            "nodeName": "",
            "numExecutors": 2,
            "description": null,
            "jobs": self.jobs_in(""),
            "primaryView": { "_class": "hudson.model.AllView", "name": "all", "url": self.root },
            "quietingDown": false,
            "slaveAgentPort": -1,
            "url": self.root,
            "useCrumbs": true,
            "useSecurity": true,
            "views": [{ "_class": "hudson.model.AllView", "name": "all", "url": self.root }],
        })
    }

    /// The document of a job or folder.
    pub(super) fn item(&self, name: &str) -> Option<Value> {
        Some(match self.server.items.get(name)? {
            Item::Folder => self.folder(name),
            Item::Job(job) => self.job(name, job),
        })
    }

    fn jobs_in(&self, folder: &str) -> Vec<Value> {
        self.server.children(folder).filter_map(|(name, _)| self.item(name)).collect()
    }

    fn folder(&self, name: &str) -> Value {
        json!({
            "_class": "com.cloudbees.hudson.plugins.folder.Folder",
            "actions": [],
            "description": null,
            "displayName": short_name(name),
            "fullDisplayName": name.replace('/', " » "),
            "fullName": name,
            "name": short_name(name),
            "url": self.item_url(name),
            "healthReport": [],
            "jobs": self.jobs_in(name),
            "views": [],
        })
    }

    fn job(&self, name: &str, job: &Job) -> Value {
        let link = |build: Option<&Build>| {
            build.map_or(Value::Null, |build| {
                json!({ "_class": BUILD_CLASS, "number": build.number, "url": self.build_url(name, build.number) })
            })
        };
        let last = |accepts: fn(&Build) -> bool| link(job.builds.iter().rev().find(|build| accepts(build)));
        let queued = self.server.queue.iter().any(|item| item.job == name && item.build.is_none());
        let builds: Vec<_> = job.builds.iter().rev().map(|build| self.build(name, build)).collect();
        json!({
            "_class": "hudson.model.FreeStyleProject",
            "actions": [],
            "description": "",
            "displayName": short_name(name),
            "fullDisplayName": name.replace('/', " » "),
            "fullName": name,
            "name": short_name(name),
            "url": self.item_url(name),
            "buildable": true,
            "allBuilds": builds,
            "builds": builds,
            "color": color(job),
            "firstBuild": link(job.builds.first()),
            "healthReport": [],
            "inQueue": queued,
            "keepDependencies": false,
            "lastBuild": link(job.builds.last()),
            "lastCompletedBuild": last(|build| build.result.is_some()),
            "lastFailedBuild": last(|build| build.result == Some("FAILURE")),
            "lastStableBuild": last(|build| build.result == Some("SUCCESS")),
            "lastSuccessfulBuild": last(|build| build.result == Some("SUCCESS")),
            "lastUnstableBuild": null,
            "lastUnsuccessfulBuild": last(|build| build.result.is_some_and(|result| result != "SUCCESS")),
            "nextBuildNumber": job.builds.len() + 1,
            "property": parameter_definitions(job),
            "queueItem": null,
            "concurrentBuild": false,
            "disabled": false,
            "downstreamProjects": [],
            "labelExpression": null,
            "scm": { "_class": "hudson.scm.NullSCM" },
            "upstreamProjects": [],
        })
    }

    /// The document of a build.
    pub(super) fn build(&self, job: &str, build: &Build) -> Value {
        let building = build.result.is_none();
        json!({
            "_class": BUILD_CLASS,
            "actions": actions(&build.parameters, &build.user),
            "artifacts": [],
            "building": building,
            "description": null,
            "displayName": format!("#{}", build.number),
            "duration": build.duration,
            "estimatedDuration": -1,
            "executor": null,
            "fullDisplayName": format!("{} #{}", job.replace('/', " » "), build.number),
            "id": build.number.to_string(),
            "inProgress": building,
            "keepLog": false,
            "number": build.number,
            "queueId": build.queue_id,
            "result": build.result,
            "timestamp": build.started,
            "url": self.build_url(job, build.number),
            "builtOn": "",
            "changeSet": { "_class": "hudson.scm.EmptyChangeLogSet", "items": [], "kind": null },
            "culprits": [],
        })
    }

    /// The document of the queue. It has only the waiting items.
    pub(super) fn queue(&self) -> Value {
        let waiting = self.server.queue.iter().filter(|item| item.build.is_none());
        let items: Vec<_> = waiting.map(|item| self.queue_item(item)).collect();
        json!({ "_class": "hudson.model.Queue", "discoverableItems": [], "items": items })
    }

    /// The document of a queue item.
    pub(super) fn queue_item(&self, item: &QueueItem) -> Value {
        let task = json!({
            "_class": "hudson.model.FreeStyleProject",
            "name": short_name(&item.job),
            "url": self.item_url(&item.job),
            "color": self.server.job(&item.job).map(color),
        });
        let mut document = json!({
            "_class": "hudson.model.Queue$WaitingItem",
            "actions": actions(&item.parameters, &item.user),
            "blocked": false,
            "buildable": false,
            "id": item.id,
            "inQueueSince": item.since,
            "params": item.parameters.iter().map(|(name, value)| format!("\n{name}={value}")).collect::<String>(),
            "stuck": false,
            "task": task,
            "url": format!("queue/item/{}/", item.id),
            "why": "In the quiet period. Expires in 5 sec",
        });
        if let Some(number) = item.build {
            let url = self.build_url(&item.job, number);
            document["_class"] = "hudson.model.Queue$LeftItem".into();
            document["why"] = Value::Null;
            document["cancelled"] = false.into();
            document["executable"] = json!({ "_class": BUILD_CLASS, "number": number, "url": url });
        }
        document
    }

    /// The document of a user.
    pub(super) fn user(&self, name: &str) -> Value {
        let url = format!("{}user/{name}", self.root);
        json!({
            "_class": "hudson.model.User",
            "absoluteUrl": url,
            "description": null,
            "fullName": name,
            "id": name,
            "property": [],
        })
    }

    pub(super) fn item_url(&self, name: &str) -> String {
        let path: String = name.split('/').map(|part| format!("job/{part}/")).collect();
        format!("{}{path}", self.root)
    }

    pub(super) fn build_url(&self, job: &str, number: usize) -> String {
        format!("{}{number}/", self.item_url(job))
    }
}

fn short_name(full_name: &str) -> &str {
    full_name.rsplit('/').next().unwrap_or(full_name)
}

/// The color of the ball in Jenkins's user interface.
fn color(job: &Job) -> &'static str {
    match job.builds.last() {
        None => "notbuilt",
        Some(build) => match build.result {
            None => "notbuilt_anime",
            Some("SUCCESS") => "blue",
            Some("ABORTED") => "aborted",
            Some(_) => "red",
        },
    }
}

fn parameter_definitions(job: &Job) -> Value {
    if job.parameters.is_empty() {
        return json!([]);
    }
    let definitions = job.parameters.iter().map(|parameter| {
        json!({
            "_class": "hudson.model.StringParameterDefinition",
            "defaultParameterValue": {
                "_class": "hudson.model.StringParameterValue",
                "name": parameter.name,
                "value": parameter.default,
            },
            "description": null,
            "name": parameter.name,
            "type": "StringParameterDefinition",
        })
    });
    json!([{
        "_class": "hudson.model.ParametersDefinitionProperty",
        "parameterDefinitions": definitions.collect::<Vec<_>>(),
    }])
}

fn actions(parameters: &[(String, String)], user: &str) -> Value {
    let cause = json!({
        "_class": "hudson.model.Cause$UserIdCause",
        "shortDescription": format!("Started by user {user}"),
        "userId": user,
        "userName": user,
    });
    let mut actions = vec![json!({ "_class": "hudson.model.CauseAction", "causes": [cause] })];
    if !parameters.is_empty() {
        let value = |(name, value): &(String, String)| json!({ "_class": "hudson.model.StringParameterValue", "name": name, "value": value });
        let values: Vec<_> = parameters.iter().map(value).collect();
        actions.insert(0, json!({ "_class": "hudson.model.ParametersAction", "parameters": values }));
    }
    actions.into()
}

const BUILD_CLASS: &str = "hudson.model.FreeStyleBuild";

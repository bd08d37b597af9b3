//! The tools of the MCP server: [`JenkinsTools`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rmcp::{ErrorData, Json, handler::server::wrapper::Parameters, schemars::JsonSchema, tool, tool_router};
use serde::{Deserialize, Serialize};
use tower_bearer::ValidatedToken;

use super::jenkins_client::{JenkinsClient, JenkinsError};

/// Lists jobs, shows builds, starts and aborts them. The layer has checked the scopes: see `settings.toml`.
#[derive(Clone, Debug)]
pub(crate) struct JenkinsTools {
    jenkins: Arc<JenkinsClient>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListJobs {
    /// The folder whose jobs to list. Default: all jobs outside folders.
    folder: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct JobList {
    jobs: Vec<JobSummary>,
    /// The user that the access token was issued for.
    listed_for: String,
}

#[derive(Serialize, JsonSchema)]
struct JobSummary {
    name: String,
    /// The state of the last build, for example `blue` for a success. Missing if this is a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct ShowBuild {
    /// The job. For a job in a folder, `FOLDER/JOB`.
    job: String,
    /// The number of the build. Default: the last build.
    number: Option<u64>,
    /// Where to start in the log, in bytes. Default: 0. Use `next_offset` of the previous call.
    #[serde(default)]
    log_offset: u64,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct BuildReport {
    number: u64,
    building: bool,
    /// Missing while the build is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    duration_ms: u64,
    parameters: BTreeMap<String, String>,
    /// At most 16 KiB of the log.
    log: String,
    next_offset: u64,
    /// Whether there is more of the log, now or later.
    more: bool,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct TriggerBuild {
    /// The job. For a job in a folder, `FOLDER/JOB`.
    job: String,
    /// Values of the parameters of the job.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct StartedBuild {
    job: String,
    queue_item: u64,
    /// The number of the build. Missing if it is still in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<u64>,
    /// The user that the access token was issued for.
    started_by: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct AbortBuild {
    /// The job. For a job in a folder, `FOLDER/JOB`.
    job: String,
    /// The number of the build.
    number: u64,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct AbortedBuild {
    job: String,
    number: u64,
    /// The user that the access token was issued for.
    aborted_by: String,
}

#[tool_router(server_handler)]
impl JenkinsTools {
    pub(crate) fn new(jenkins: Arc<JenkinsClient>) -> Self {
        Self { jenkins }
    }

    #[tool(description = "Lists the jobs and folders", annotations(read_only_hint = true))]
    async fn list_jobs(
        &self,
        Parameters(ListJobs { folder }): Parameters<ListJobs>,
        token: ValidatedToken,
    ) -> Result<Json<JobList>, ErrorData> {
        let jobs = self.jenkins.jobs(folder.as_deref()).await.map_err(|error| tool_error(&error))?;
        let jobs = jobs.into_iter().map(|job| JobSummary { name: job.name, color: job.color }).collect();
        Ok(Json(JobList { jobs, listed_for: user(&token) }))
    }

    #[tool(description = "Shows a build and a part of its log", annotations(read_only_hint = true))]
    async fn show_build(
        &self,
        Parameters(ShowBuild { job, number, log_offset }): Parameters<ShowBuild>,
    ) -> Result<Json<BuildReport>, ErrorData> {
        let build = self.jenkins.build(&job, number).await.map_err(|error| tool_error(&error))?;
        let log = self.jenkins.log(&job, build.number, log_offset, MAX_LOG_LEN).await;
        let log = log.map_err(|error| tool_error(&error))?;
        Ok(Json(BuildReport {
            number: build.number,
            building: build.building,
            result: build.result.clone(),
            duration_ms: build.duration,
            parameters: build.parameters(),
            log: log.text,
            next_offset: log.next_offset,
            more: log.more,
        }))
    }

    #[tool(description = "Starts a build of a job", annotations(destructive_hint = false))]
    async fn trigger_build(
        &self,
        Parameters(TriggerBuild { job, parameters }): Parameters<TriggerBuild>,
        token: ValidatedToken,
    ) -> Result<Json<StartedBuild>, ErrorData> {
        let queue_item = self.jenkins.trigger(&job, &parameters).await.map_err(|error| tool_error(&error))?;
        let build = self.wait_for_start(queue_item).await.map_err(|error| tool_error(&error))?;
        Ok(Json(StartedBuild { job, queue_item, build, started_by: user(&token) }))
    }

    #[tool(description = "Aborts a running build", annotations(destructive_hint = true))]
    async fn abort_build(
        &self,
        Parameters(AbortBuild { job, number }): Parameters<AbortBuild>,
        token: ValidatedToken,
    ) -> Result<Json<AbortedBuild>, ErrorData> {
        self.jenkins.abort(&job, number).await.map_err(|error| tool_error(&error))?;
        Ok(Json(AbortedBuild { job, number, aborted_by: user(&token) }))
    }

    /// Returns the number of the build, or `None` if it is still in the queue after a few seconds.
    async fn wait_for_start(&self, queue_item: u64) -> Result<Option<u64>, JenkinsError> {
        let mut pause = FIRST_PAUSE;
        while pause <= LAST_PAUSE {
            if let Some(build) = self.jenkins.started_build(queue_item).await? {
                return Ok(Some(build));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.jenkins.started_build(queue_item).await
    }
}

fn user(token: &ValidatedToken) -> String {
    token.subject().unwrap_or("nobody").to_owned()
}

/// Returns what the caller is told about a failure. Details are only logged.
fn tool_error(error: &JenkinsError) -> ErrorData {
    match error {
        JenkinsError::InvalidName(_) | JenkinsError::NotFound => {
            ErrorData::invalid_params(error.to_string(), None)
        }
        JenkinsError::Status(_) | JenkinsError::Malformed | JenkinsError::Unreachable(_) => {
            tracing::warn!(?error, "a request to Jenkins failed");
            ErrorData::internal_error(error.to_string(), None)
        }
    }
}

/// Maximum size of the log in one answer, in bytes. The answer must fit into the context of a model.
const MAX_LOG_LEN: usize = 16 << 10;
/// A new build waits in the queue for 5 seconds by default. The pauses double and add up to 6 seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(3_200);

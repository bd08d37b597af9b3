//! Removes from lists what the caller may not use: [`FilteredLists`].
#![allow(deprecated, reason = "methods of older revisions are passed on too")]

use std::{borrow::Cow, fmt, future::Future};

use http::request::Parts;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CancelledNotificationParam,
        CompleteRequestParams, CompleteResult, CustomNotification, CustomRequest, CustomResult,
        DiscoverResult, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams, GetSkillResult,
        GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult,
        PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
        ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult, ReadResourceRequestParams,
        ReadResourceResponse, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
        SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{MaybeSendFuture, NotificationContext, RequestContext, SubscriptionContext},
};

use crate::{
    Requirement, ValidateMcpTokenLayer, ValidatedToken, mcp::McpOperations, validate_token::Operations,
};

/// A handler whose lists contain only what the caller may use.
///
/// Created by [`McpOperations::filter_lists`] and [`ValidateMcpTokenLayer::filter_lists`].
#[derive(Clone)]
pub struct FilteredLists<H> {
    handler: H,
    operations: Operations,
}

impl McpOperations {
    /// Wraps a handler of rmcp, so that its lists contain only what the caller may use.
    ///
    /// Filters `tools/list`, `resources/list`, `resources/templates/list`, `prompts/list` and the directories of resources. An
    /// anonymous caller gets what is public. The results are marked `cacheScope: "private"` (MCP 2026-07-28), because they
    /// differ between callers. A page may have fewer items than the handler returned. A template whose requirement depends on
    /// the URI is listed for every token.
    ///
    /// Filtering is for convenience: it is the layer that refuses calls.
    ///
    /// ```
    /// # use rmcp::{ServerHandler, tool, tool_router};
    /// # use tower_bearer::{Scope, mcp::McpOperations};
    /// # const READ: Scope = Scope::from_static("mcp:read");
    /// # struct Jobs;
    /// # #[tool_router(server_handler)]
    /// # impl Jobs {
    /// #     #[tool(description = "Lists the jobs")]
    /// #     async fn list_jobs(&self) -> String { String::new() }
    /// # }
    /// let operations = McpOperations::builder().tool("list_jobs", READ).build()?;
    /// let handler = operations.filter_lists(Jobs); // in the closure of `StreamableHttpService::new`
    /// # fn is_handler(_: impl ServerHandler) {}
    /// # is_handler(handler);
    /// # Ok::<_, tower_bearer::ConfigError>(())
    /// ```
    pub fn filter_lists<H: ServerHandler>(&self, handler: H) -> FilteredLists<H> {
        FilteredLists { handler, operations: Operations::OfLayer(self.clone()) }
    }
}

impl ValidateMcpTokenLayer {
    /// Wraps a handler of rmcp, so that its lists contain only what this layer lets the caller use.
    ///
    /// Works like [`McpOperations::filter_lists`]. For a layer of
    /// [`ResourceServer::require_mcp_policy`](crate::ResourceServer::require_mcp_policy), the lists follow the operations that
    /// are in effect at the time of the request, also after [`reconfigure`](crate::ResourceServer::reconfigure). Clients are not
    /// told that their list has changed: they get the new one when they list again.
    ///
    /// ```
    /// # use rmcp::{ServerHandler, tool, tool_router};
    /// # use tower_bearer::{ConfigError, ResourceServer};
    /// # #[derive(Clone)]
    /// # struct Jobs;
    /// # #[tool_router(server_handler)]
    /// # impl Jobs {
    /// #     #[tool(description = "Lists the jobs")]
    /// #     async fn list_jobs(&self) -> String { String::new() }
    /// # }
    /// # fn is_handler(_: impl ServerHandler) {}
    /// fn protect(resource_server: &ResourceServer) -> Result<(), ConfigError> {
    ///     let layer = resource_server.require_mcp_policy()?;
    ///     let handler = layer.filter_lists(Jobs); // in the closure of `StreamableHttpService::new`
    /// #   is_handler(handler);
    ///     Ok(())
    /// }
    /// # let _ = protect;
    /// ```
    pub fn filter_lists<H: ServerHandler>(&self, handler: H) -> FilteredLists<H> {
        FilteredLists { handler, operations: self.operations().clone() }
    }
}

/// The token of a request, if there is one.
struct Caller(Option<ValidatedToken>);

impl Caller {
    fn of(context: &RequestContext<RoleServer>) -> Self {
        Self(context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get()).cloned())
    }

    fn meets(&self, requirement: Requirement) -> bool {
        match &self.0 {
            Some(token) => token.meets(requirement),
            None => requirement == Requirement::public(),
        }
    }
}

impl<H: ServerHandler> FilteredLists<H> {
    fn keep_resources(&self, caller: &Caller, list: &mut ListResourcesResult) {
        let operations = self.operations.current();
        list.resources.retain(|resource| caller.meets(operations.of_resource(&resource.uri)));
        list.cache_scope = Some(CacheScope::Private);
    }
}

/// Passes the calls of a trait's methods on to the handler.
macro_rules! pass_on {
    ($($name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {
        $(
            fn $name(&self, $($argument: $type),*) -> impl Future<Output = $output> + MaybeSendFuture + '_ {
                self.handler.$name($($argument),*)
            }
        )*
    };
}

type Context = RequestContext<RoleServer>;
type Notified = NotificationContext<RoleServer>;

impl<H: ServerHandler> ServerHandler for FilteredLists<H> {
    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = Caller::of(&context);
        let mut list = self.handler.list_tools(request, context).await?;
        let operations = self.operations.current();
        list.tools.retain(|tool| caller.meets(operations.of_tool(&tool.name)));
        list.cache_scope = Some(CacheScope::Private);
        Ok(list)
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let caller = Caller::of(&context);
        let mut list = self.handler.list_prompts(request, context).await?;
        let operations = self.operations.current();
        list.prompts.retain(|prompt| caller.meets(operations.of_prompt(&prompt.name)));
        list.cache_scope = Some(CacheScope::Private);
        Ok(list)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let caller = Caller::of(&context);
        let mut list = self.handler.list_resources(request, context).await?;
        self.keep_resources(&caller, &mut list);
        Ok(list)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let caller = Caller::of(&context);
        let mut list = self.handler.list_resource_templates(request, context).await?;
        let operations = self.operations.current();
        list.resource_templates.retain(|template| {
            let requirement = operations.of_template(&template.uri_template);
            caller.meets(requirement.unwrap_or_else(Requirement::token))
        });
        list.cache_scope = Some(CacheScope::Private);
        Ok(list)
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        context: Context,
    ) -> Result<ReadResourceDirectoryResult, ErrorData> {
        let caller = Caller::of(&context);
        let mut list = self.handler.read_resource_directory(request, context).await?;
        self.keep_resources(&caller, &mut list);
        Ok(list)
    }

    pass_on! {
        ping(context: Context) -> Result<(), ErrorData>;
        initialize(request: InitializeRequestParams, context: Context) -> Result<InitializeResult, ErrorData>;
        discover(context: Context) -> Result<DiscoverResult, ErrorData>;
        complete(request: CompleteRequestParams, context: Context) -> Result<CompleteResult, ErrorData>;
        set_level(request: SetLevelRequestParams, context: Context) -> Result<(), ErrorData>;
        get_prompt(request: GetPromptRequestParams, context: Context) -> Result<GetPromptResponse, ErrorData>;
        read_resource(request: ReadResourceRequestParams, context: Context) -> Result<ReadResourceResponse, ErrorData>;
        listen(context: SubscriptionContext) -> Result<(), ErrorData>;
        subscribe(request: SubscribeRequestParams, context: Context) -> Result<(), ErrorData>;
        unsubscribe(request: UnsubscribeRequestParams, context: Context) -> Result<(), ErrorData>;
        call_tool(request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData>;
        on_custom_request(request: CustomRequest, context: Context) -> Result<CustomResult, ErrorData>;
        on_cancelled(notification: CancelledNotificationParam, context: Notified) -> ();
        on_progress(notification: ProgressNotificationParam, context: Notified) -> ();
        on_initialized(context: Notified) -> ();
        on_roots_list_changed(context: Notified) -> ();
        on_custom_notification(notification: CustomNotification, context: Notified) -> ();
        get_task(request: GetTaskParams, context: Context) -> Result<GetTaskResult, ErrorData>;
        update_task(request: UpdateTaskParams, context: Context) -> Result<(), ErrorData>;
        cancel_task(request: CancelTaskParams, context: Context) -> Result<(), ErrorData>;
        list_skills(request: Option<PaginatedRequestParams>, context: Context) -> Result<ListSkillsResult, ErrorData>;
        get_skill(request: GetSkillRequestParams, context: Context) -> Result<GetSkillResult, ErrorData>;
    }

    fn get_info(&self) -> ServerConfig {
        self.handler.get_info()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.handler.get_tool(name)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.handler.supported_protocol_versions()
    }

    fn negotiate_initialize(&self, request: &InitializeRequestParams) -> Result<InitializeResult, ErrorData> {
        self.handler.negotiate_initialize(request)
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.handler.accepted_subscription_filter(requested)
    }
}

impl<H> fmt::Debug for FilteredLists<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilteredLists").field("operations", &self.operations).finish_non_exhaustive()
    }
}

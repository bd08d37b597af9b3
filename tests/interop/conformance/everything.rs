//! An MCP server with everything that the conformance suite tests.
//!
//! Results are written as JSON, as in the descriptions of the suite's scenarios.

#![allow(deprecated, reason = "the suite still asks for what newer revisions of MCP deprecate")]

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerConfig,
        SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

type Context = RequestContext<RoleServer>;

/// The server. It keeps nothing between requests.
#[derive(Clone, Debug)]
pub(crate) struct Everything;

impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        typed(json!({
            "protocolVersion": "2025-11-25",
            "serverInfo": {"name": "everything", "version": "1"},
            "capabilities": {
                "tools": {}, "prompts": {}, "resources": {"subscribe": true}, "logging": {}, "completions": {},
            },
        }))
        .expect("these are server capabilities")
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        typed(json!({"tools": tools()}))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let result = call(&request.name, &arguments, &context).await?;
        Ok(typed::<CallToolResult>(result)?.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        typed(json!({"resources": [
            {"uri": "test://static-text", "name": "text", "description": "A text", "mimeType": "text/plain"},
            {"uri": "test://static-binary", "name": "binary", "description": "A picture", "mimeType": "image/png"},
            {"uri": "test://watched-resource", "name": "watched", "description": "A text", "mimeType": "text/plain"},
        ]}))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        typed(json!({"resourceTemplates": [
            {"uriTemplate": "test://template/{id}/data", "name": "data", "description": "Data", "mimeType": "application/json"},
        ]}))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let content = match (uri, id) {
            ("test://static-binary", _) => json!({"uri": uri, "mimeType": "image/png", "blob": PICTURE}),
            ("test://static-text", _) => {
                let text = "This is the content of the static text resource.";
                json!({"uri": uri, "mimeType": "text/plain", "text": text})
            }
            ("test://watched-resource", _) => {
                json!({"uri": uri, "mimeType": "text/plain", "text": "watched"})
            }
            (_, Some(id)) => {
                let text = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                json!({"uri": uri, "mimeType": "application/json", "text": text.to_string()})
            }
            _ => return Err(ErrorData::resource_not_found("no such resource", None)),
        };
        Ok(typed::<ReadResourceResult>(json!({"contents": [content]}))?.into())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let argument = |name: &str| json!({"name": name, "description": "An argument", "required": true});
        typed(json!({"prompts": [
            {"name": "test_simple_prompt", "description": "A prompt"},
            {"name": "test_prompt_with_arguments", "description": "A prompt",
             "arguments": [argument("arg1"), argument("arg2")]},
            {"name": "test_prompt_with_embedded_resource", "description": "A prompt",
             "arguments": [argument("resourceUri")]},
            {"name": "test_prompt_with_image", "description": "A prompt"},
        ]}))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = serde_json::to_value(&request.arguments).unwrap_or_default();
        let argument = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
        let contents = match &*request.name {
            "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
            "test_prompt_with_arguments" => {
                let (one, two) = (argument("arg1"), argument("arg2"));
                vec![text(&format!("Prompt with arguments: arg1='{one}', arg2='{two}'"))]
            }
            "test_prompt_with_embedded_resource" => vec![
                resource(&argument("resourceUri"), "text/plain", "Embedded resource content for testing."),
                text("Please process the embedded resource above."),
            ],
            "test_prompt_with_image" => vec![picture(), text("Please analyze the image above.")],
            _ => return Err(ErrorData::invalid_params("no such prompt", None)),
        };
        let messages: Vec<_> =
            contents.into_iter().map(|content| json!({"role": "user", "content": content})).collect();
        Ok(typed::<GetPromptResult>(json!({"messages": messages}))?.into())
    }

    async fn complete(&self, _: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        typed(json!({"completion": {"values": ["paris", "park"], "total": 2, "hasMore": false}}))
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }
}

async fn call(name: &str, arguments: &Value, context: &Context) -> Result<Value, ErrorData> {
    let contents = match name {
        "test_simple_text" => vec![text("This is a simple text response for testing.")],
        "test_image_content" => vec![picture()],
        "test_audio_content" => vec![json!({"type": "audio", "data": SOUND, "mimeType": "audio/wav"})],
        "test_embedded_resource" => {
            vec![resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
        }
        "test_multiple_content_types" => vec![
            text("Multiple content types test:"),
            picture(),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ],
        "test_error_handling" => {
            let content = [text("This tool intentionally returns an error for testing")];
            return Ok(json!({"isError": true, "content": content}));
        }
        "test_tool_with_logging" => {
            for data in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                let message = typed(json!({"level": "info", "data": data}))?;
                context.peer.notify_logging_message(message).await.map_err(internal)?;
            }
            vec![text("done")]
        }
        "test_tool_with_progress" => {
            if let Some(token) = context.meta.get_progress_token() {
                for progress in [0, 50, 100] {
                    let progress = json!({"progressToken": token, "progress": progress, "total": 100});
                    context.peer.notify_progress(typed(progress)?).await.map_err(internal)?;
                }
            }
            vec![text("done")]
        }
        "test_sampling" => {
            let content = json!({"type": "text", "text": arguments["prompt"]});
            let request = json!({"messages": [{"role": "user", "content": content}], "maxTokens": 100});
            let answer = context.peer.create_message(typed(request)?).await.map_err(internal)?;
            let answer = serde_json::to_value(answer).map_err(internal)?;
            vec![text(&format!("LLM response: {}", answer["content"]))]
        }
        "test_elicitation" => {
            let field = json!({"type": "string", "description": "A field"});
            let properties = json!({"username": field, "email": field});
            elicit(context, &arguments["message"], properties, &["username", "email"], "User response")
                .await?
        }
        "test_elicitation_sep1034_defaults" => {
            let properties = json!({
                "name": {"type": "string", "default": "John Doe"},
                "age": {"type": "integer", "default": 30},
                "score": {"type": "number", "default": 95.5},
                "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
                "verified": {"type": "boolean", "default": true},
            });
            elicit(context, &json!("defaults"), properties, &[], "Elicitation completed").await?
        }
        "test_elicitation_sep1330_enums" => {
            let options = json!(["option1", "option2", "option3"]);
            let titled = json!([
                {"const": "value1", "title": "First"}, {"const": "value2", "title": "Second"},
                {"const": "value3", "title": "Third"},
            ]);
            let properties = json!({
                "untitledSingle": {"type": "string", "enum": options},
                "titledSingle": {"type": "string", "oneOf": titled},
                "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
                "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
                "titledMulti": {"type": "array", "items": {"anyOf": titled}},
            });
            elicit(context, &json!("enums"), properties, &[], "Elicitation completed").await?
        }
        "json_schema_2020_12_tool" | "test_reconnection" => vec![text("done")],
        _ => return Err(ErrorData::invalid_params("no such tool", None)),
    };
    Ok(json!({"content": contents}))
}

async fn elicit(
    context: &Context,
    message: &Value,
    properties: Value,
    required: &[&str],
    label: &str,
) -> Result<Vec<Value>, ErrorData> {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    let request = json!({"mode": "form", "message": message, "requestedSchema": schema});
    let answer = context.peer.create_elicitation(typed(request)?).await.map_err(internal)?;
    let answer = serde_json::to_value(answer).map_err(internal)?;
    let (action, content) = (answer["action"].as_str().unwrap_or_default(), &answer["content"]);
    Ok(vec![text(&format!("{label}: action={action}, content={content}"))])
}

fn tools() -> Vec<Value> {
    let none = json!({"type": "object", "properties": {}});
    let with =
        |name: &str| json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]});
    let address =
        json!({"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}});
    let json_schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": address},
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
        "additionalProperties": false,
    });
    [
        ("test_simple_text", none.clone()),
        ("test_image_content", none.clone()),
        ("test_audio_content", none.clone()),
        ("test_embedded_resource", none.clone()),
        ("test_multiple_content_types", none.clone()),
        ("test_tool_with_logging", none.clone()),
        ("test_error_handling", none.clone()),
        ("test_tool_with_progress", none.clone()),
        ("test_sampling", with("prompt")),
        ("test_elicitation", with("message")),
        ("test_elicitation_sep1034_defaults", none.clone()),
        ("test_elicitation_sep1330_enums", none.clone()),
        ("test_reconnection", none),
        ("json_schema_2020_12_tool", json_schema),
    ]
    .map(|(name, schema)| json!({"name": name, "description": "A tool for tests", "inputSchema": schema}))
    .into()
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn picture() -> Value {
    json!({"type": "image", "data": PICTURE, "mimeType": "image/png"})
}

fn resource(uri: &str, mime_type: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": text}})
}

fn typed<T: DeserializeOwned>(json: Value) -> Result<T, ErrorData> {
    serde_json::from_value(json).map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// A PNG of one pixel, in base64.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/// A WAV file without samples, in base64.
const SOUND: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

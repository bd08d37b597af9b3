-- Asks the decision service about a request, and answers the request itself unless it may pass.

-- Returns the values of a header. HAProxy counts them from 0 or from 1, depending on the function.
local function values(headers, name)
    local found = {}
    for _, value in pairs((headers or {})[name] or {}) do
        table.insert(found, value)
    end
    return found
end

core.register_action("decide", { "http-req" }, function(txn)
    local headers = {
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { txn.sf:pathq() },
    }
    local authorizations = values(txn.http:req_get_headers(), "authorization")
    if #authorizations > 0 then
        headers["authorization"] = authorizations
    end
    local response = core.httpclient():get({ url = "http://{decision}/auth", headers = headers })
    -- Only this status admits a request. Without an answer, the status is 0.
    if response and response.status == 204 then
        local user = values(response.headers, "x-forwarded-user")[1]
        if user then
            txn:set_var("txn.user", user)
        end
        return
    end
    local status = response and response.status >= 400 and response.status or 503
    local reply = txn:reply({ status = status })
    for _, challenge in ipairs(values(response and response.headers, "www-authenticate")) do
        reply:add_header("www-authenticate", challenge)
    end
    txn:done(reply)
end, 0)

-- Tells a visitor that he is refused, once he has sent what he wants to send: who is answered before may be shown a
-- connection that broke off instead, and over HTTP/2 nearly always is.
--
-- txn.status, txn.page and, where it helps to ask again, txn.again (seconds) say what he is told; txn.more is a line of
-- the head besides (`Name: value`). Who looks after sites is told besides that this is no application's answer: `refused`
-- where one serves and this visitor may not come, `nowhere` where nothing serves at this address.

local NOWHERE = { [404] = true, [421] = true }
local MOST = 64 * 1024 * 1024 -- bytes that are read on; beyond that the answer comes as it may

core.register_service("refused", "http", function(applet)
    local left = MOST
    while left > 0 do
        local block = applet:receive(65536)
        if not block or #block == 0 then
            break
        end
        left = left - #block
    end
    local status = applet:get_var("txn.status")
    local page, again, more = applet:get_var("txn.page"), applet:get_var("txn.again"), applet:get_var("txn.more")
    applet:set_status(status)
    applet:add_header("Content-Type", "text/html; charset=utf-8")
    applet:add_header("Content-Length", tostring(#page))
    applet:add_header("Cache-Control", "no-store")
    if again then
        applet:add_header("Retry-After", tostring(again))
    end
    local agent = applet.headers["user-agent"]
    if agent and agent[0] == "apiary-health" then
        applet:add_header("Apiary-State", NOWHERE[status] and "nowhere" or "refused")
    end
    if more then
        applet:add_header(more:match("^(.-): (.*)$"))
    end
    applet:start_response()
    applet:send(page)
end)

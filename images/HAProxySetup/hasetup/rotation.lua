-- Who gets visitors, in each worker and four times a second. The DNS of Docker gives a container to any free server of
-- its backend, and HAProxy treats it by what it knows of the one before, or takes it to be up where it knows nothing
-- (`init-state down` says otherwise, from 3.1 on):
--
--   * It counts as up before its first check. So a free server is in drain state, and whoever comes there is ready after
--     his first good check. Where another container takes a place that was not free, the server is down until then.
--   * A weight of 0 stays, by which apiary-drain took the one before out of rotation. Who comes has full weight.
--
-- Who asks while nobody serves waits for these checks, some seconds at most, when the worker has just begun, or somebody
-- has just come: else he would be told that an application is down which has not been asked yet.

local FREE = "<unknown>" -- what stands for no address
local PATIENCE = 3 -- seconds
local LOOK, NEAR = 250, 50 -- milliseconds between looks; while somebody may be waited for

local addresses = {} -- of each server, by backend
local awaited = {} -- by backend, until when it is not known whether somebody serves
local until_then = math.huge -- the last of these times; visitors may come before this script's task begins

local function now()
    local time = core.now()
    return time.sec + time.usec / 1000000
end

local function await(name)
    until_then = now() + PATIENCE
    awaited[name] = until_then
end

local function is_draining(server)
    local said = server:is_draining() -- a number up to 2.6, which is true also when it is 0
    return said == true or said == 1
end

local function is_checked(server)
    local stats = server:get_stats()
    local health, rise = tonumber(stats.check_health), tonumber(stats.check_rise)
    -- It begins at `rise`, and the first check that succeeds takes it to the top. Without one (`disable health`) there
    -- is nothing to wait for, and nothing to compare, which would end this task.
    return not health or health > rise
end

local function look_at(name, backend)
    local known = addresses[name] or {}
    addresses[name] = known
    for id, server in pairs(backend.servers) do
        local before, address = known[id] or server:get_addr(), server:get_addr()
        known[id] = address
        if (address == FREE or address ~= before) and tonumber(server:get_weight()) == 0 then
            server:set_weight("100%")
        end
        if address ~= before then
            await(name)
            if before ~= FREE and address ~= FREE then
                server:check_force_down()
            end
        end
        if address == FREE then
            server:set_drain()
        elseif is_draining(server) and is_checked(server) then
            server:set_ready()
        end
    end
end

-- What goes wrong with one backend must not end this task: its free servers would be in drain state for ever, and so
-- would those of all others.
local told = {}

local function look()
    for name, backend in pairs(core.backends) do
        if name:match("^app%-") then
            local done, why = pcall(look_at, name, backend)
            if not done and told[name] ~= why then
                told[name] = why
                core.log(core.err, "rotation.lua: " .. name .. ": " .. tostring(why))
            end
        end
    end
end

core.register_init(look) -- before the first answer of the DNS

core.register_task(function()
    until_then = 0
    for name in pairs(addresses) do
        await(name)
    end
    while true do
        look()
        core.msleep(now() < until_then and NEAR or LOOK)
    end
end)

core.register_action("first_check", { "http-req" }, function(txn)
    local name = txn.f:be_name()
    while now() < math.min(until_then, awaited[name] or math.huge) and txn.f:nbsrv(name) == 0 do
        core.msleep(NEAR)
    end
end)

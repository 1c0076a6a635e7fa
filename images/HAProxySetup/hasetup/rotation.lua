-- Who gets visitors, in each worker and four times a second. The DNS of Docker gives a container to any free server of
-- its backend, and HAProxy treats it by what it knows of the one before:
--
--   * it counts as up before its first check (`init-state down` says otherwise, from 3.1 on). So while another one
--     serves, a free server is in drain state, and whoever comes there is ready after its first check;
--   * a weight of 0 stays, by which apiary-drain took the one before out of rotation. A free server has its full weight.
--
-- Where none serves nobody has to wait: a proxy that starts, an application whose only container has been restarted.

local FREE = "<unknown>" -- what stands for no address

local function is_draining(server)
    local said = server:is_draining() -- a number up to 2.6, which is true also when it is 0
    return said == true or said == 1
end

local function look_at(backend)
    local serving, free, draining = false, {}, {}
    for _, server in pairs(backend.servers) do
        if server:get_addr() == FREE then
            table.insert(free, server)
        elseif is_draining(server) then
            table.insert(draining, server)
        else
            serving = true
        end
    end
    for _, server in ipairs(free) do
        if tonumber(server:get_weight()) == 0 then
            server:set_weight("100%")
        end
        if serving then
            server:set_drain()
        else
            server:set_ready()
        end
    end
    for _, server in ipairs(draining) do
        local stats = server:get_stats()
        local health, rise = tonumber(stats.check_health), tonumber(stats.check_rise)
        -- It begins at `rise`, and the first check that succeeds takes it to the top. Without one (`disable health`)
        -- there is nothing to wait for, and nothing to compare, which would end this task.
        if not serving or not health or health > rise then
            server:set_ready()
        end
    end
end

-- What goes wrong with one backend must not end this task: its free servers would be in drain state for ever, and so
-- would those of all others.
local told = {}

local function try_to_look_at(name, backend)
    local done, why = pcall(look_at, backend)
    if not done and told[name] ~= why then
        told[name] = why
        core.log(core.err, "rotation.lua: " .. name .. ": " .. tostring(why))
    end
end

core.register_task(function()
    while true do
        for name, backend in pairs(core.backends) do
            if name:match("^app%-") then
                try_to_look_at(name, backend)
            end
        end
        core.msleep(250)
    end
end)

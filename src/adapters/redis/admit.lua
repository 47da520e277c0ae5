-- Counts a call if nothing is reached, all or nothing.
-- KEYS: the bucket, then a counter for each cell. ARGV: now in milliseconds, the burst, then for each cell: the amount, the
-- limit, 1 if it counts, the seconds until its window ends, and where it begins if it is not there.
-- Returns {0, 0}; {1, milliseconds until the bucket has room}; {2, the number of the first full cell, from 0}.
local REQUEST, FULL_AFTER_MS, FIELDS = 60000, 60000, 5
local now, burst = tonumber(ARGV[1]), tonumber(ARGV[2])

local stored = redis.call('HMGET', KEYS[1], 'missing', 'filled')
local filled = tonumber(stored[2]) or now
local elapsed = math.max(0, math.min(now - filled, FULL_AFTER_MS))
local missing = math.max(0, (tonumber(stored[1]) or 0) - burst * elapsed)
local lacking = missing + REQUEST - burst * REQUEST
if lacking > 0 then
    return {1, burst > 0 and math.ceil(lacking / burst) or FULL_AFTER_MS}
end

local fresh = {}
for cell = 1, #KEYS - 1 do
    local at = 2 + (cell - 1) * FIELDS
    local amount, limit, floor = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 5])
    local used = tonumber(redis.call('GET', KEYS[cell + 1]))
    if not used then
        used, fresh[cell] = floor, true
    end
    if used + amount > limit then
        return {2, cell - 1}
    end
end

for cell = 1, #KEYS - 1 do
    local at = 2 + (cell - 1) * FIELDS
    if ARGV[at + 3] == '1' then
        if fresh[cell] then
            -- A minute longer than the window, for a replica whose clock is behind.
            redis.call('SET', KEYS[cell + 1], ARGV[at + 5], 'EX', tonumber(ARGV[at + 4]) + 60)
        end
        redis.call('INCRBY', KEYS[cell + 1], ARGV[at + 1])
    end
end
redis.call('HSET', KEYS[1], 'missing', string.format('%.0f', missing + REQUEST), 'filled', string.format('%.0f', math.max(now, filled)))
redis.call('PEXPIRE', KEYS[1], FULL_AFTER_MS * 2)
return {0, 0}

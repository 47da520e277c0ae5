-- Takes amounts back, of counters that are still there. KEYS: counters. ARGV: an amount for each.
for counter = 1, #KEYS do
    if redis.call('EXISTS', KEYS[counter]) == 1 then
        redis.call('DECRBY', KEYS[counter], ARGV[counter])
    end
end
return 0

-- ARGV: channel, tag, time, life. Whoever comes late moves nothing back.
redis.call('HDEL', KEY, '-') -- as in touch: a logout must not get lost for want of memory
local there = tonumber(read('at')[1] or '0')
if tonumber(ARGV[3]) > there then redis.call('HSET', KEY, 'at', ARGV[3]) end
redis.call('PEXPIRE', KEY, ARGV[4])
return {now, 1}

-- ARGV: channel, tag, life of the bytes. The ended record's bytes go when their time is over.
local at = read('et')[1]
if at and now >= tonumber(at) + tonumber(ARGV[3]) then redis.call('HDEL', KEY, 'es') end
return {now, 1}

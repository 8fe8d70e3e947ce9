-- ARGV: channel, tag, owner, how, not before or '0', credentials
if read('lo')[1] ~= ARGV[3] then return {now, 0} end
redis.call('HDEL', KEY, 'lo', 'lu')
redis.call('HSET', KEY, 'nb', ARGV[5])
if ARGV[4] == 'unsure' then redis.call('HSET', KEY, 'un', '1') end
if ARGV[4] == 'definite_400' and read('dc')[1] ~= ARGV[6] then
  redis.call('HSET', KEY, 'd4', ms(now), 'dc', ARGV[6])
end
announce()
return {now, 1}

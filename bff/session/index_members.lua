-- ARGV: channel, tag
return {now, redis.call('ZRANGEBYSCORE', KEY, '(' .. ms(now), '+inf')}

-- Stand-in for pg_net, which no package of PostgreSQL contains: the same function and queue. It posts
-- nothing itself; the local stack reads the queue and posts.

create schema net;

create table net.http_request_queue (
  id bigint generated always as identity primary key,
  method text not null,
  url text not null,
  headers jsonb not null,
  body jsonb,
  timeout_milliseconds integer not null
);

create function net.http_post(
  url text, body jsonb default '{}', params jsonb default '{}',
  headers jsonb default '{"Content-Type": "application/json"}',
  timeout_milliseconds integer default 5000
) returns bigint
language sql security definer set search_path = ''
as $$
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values ('POST', $1, $4, $2, $5) returning id
$$;

revoke execute on all functions in schema net from public;
grant usage on schema net to postgres;
grant all on net.http_request_queue to postgres;
grant execute on all functions in schema net to postgres;

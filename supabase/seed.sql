/*
 * Two clinics to try things on, with fictional numbers (Ofcom's and NANPA's ranges for drama).
 * Safe to run again: existing rows are left as they are.
 */

insert into public.organizations (id, slug, name, timezone, default_country, sms_countries) values
  ('5a11d0e5-0000-4000-8000-000000000001', 'sunrise-dental', 'Sunrise Dental',
    -- Some blocks among Britain's mobile numbers are Guernsey's, Jersey's and the Isle of Man's.
    'Europe/London', 'GB', '{GB,GG,IM,JE,US}'),
  ('4d50a000-0000-4000-8000-000000000002', 'hudson-aesthetics', 'Hudson Aesthetics',
    'America/New_York', 'US', '{US,GB}')
on conflict do nothing;

insert into public.org_channels (kind, value, org_id) values
  ('called_number', '+442079460123', '5a11d0e5-0000-4000-8000-000000000001'),
  ('vapi_phone_number', '6f2d6c5e-7a0d-4a83-9c5e-2f5f7d9c0a01',
    '5a11d0e5-0000-4000-8000-000000000001'),
  ('vapi_assistant', '5f8a4a3e-0c6d-4f3b-a6b8-0b5cf5f0b1d2',
    '5a11d0e5-0000-4000-8000-000000000001'),
  ('called_number', '+12125550123', '4d50a000-0000-4000-8000-000000000002')
on conflict do nothing;

insert into public.providers (org_id, slug, name)
select o.id, p.slug, p.name
from (values
  ('sunrise-dental', 'amara-patel', 'Dr Amara Patel'),
  ('sunrise-dental', 'ben-okafor', 'Dr Ben Okafor'),
  ('sunrise-dental', 'chloe-hughes', 'Dr Chloe Hughes'),
  ('hudson-aesthetics', 'maria-santos', 'Dr Maria Santos'),
  ('hudson-aesthetics', 'james-lee', 'Dr James Lee'),
  ('hudson-aesthetics', 'nina-rossi', 'Dr Nina Rossi')
) as p (clinic, slug, name)
join public.organizations as o on o.slug = p.clinic
on conflict do nothing;

insert into public.services (
  org_id, slug, name, duration_min, step_min, buffer_after_min, notice_min, horizon_days)
select o.id, s.slug, s.name, s.duration_min, s.step_min, s.buffer_after_min, 60, 90
from (values
  ('consultation', 'Consultation', 30, 30, 0),
  ('rhinoplasty', 'Rhinoplasty', 120, 30, 30),
  ('facelift', 'Facelift', 180, 30, 30)
) as s (slug, name, duration_min, step_min, buffer_after_min)
cross join public.organizations as o
where o.slug in ('sunrise-dental', 'hudson-aesthetics')
on conflict do nothing;

insert into public.provider_services (org_id, provider_id, service_id)
select p.org_id, p.id, s.id
from public.providers as p
join public.services as s on s.org_id = p.org_id
join public.organizations as o on o.id = p.org_id
where o.slug in ('sunrise-dental', 'hudson-aesthetics')
on conflict do nothing;

-- Monday to Friday, nine to half past five.
insert into public.working_hours (org_id, provider_id, dow, start_min, end_min)
select p.org_id, p.id, d.dow, 9 * 60, 17 * 60 + 30
from public.providers as p
join public.organizations as o on o.id = p.org_id
cross join generate_series(1, 5) as d (dow)
where o.slug in ('sunrise-dental', 'hudson-aesthetics')
on conflict do nothing;

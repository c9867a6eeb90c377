/* What a later release must not do: it takes a column from functions that use it. */
set local lock_timeout = '2s';

alter table public.appointments rename column patient_name to full_name;

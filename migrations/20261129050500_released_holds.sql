/*
 * The same words about a day: at first they release the hold of the call, and then they mean the appointment.
 *
 * A model that has lost the answer hold_released asks again and gets it again, once. The same request a third
 * time means the patient's appointment on that day, unless it names the hold by its id. Otherwise the caller
 * would hear over and over that the hold is gone.
 */
set local lock_timeout = '2s';

create function private.repeat_released(p_org uuid, p_call jsonb, p_hash bytea, p_named uuid)
returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_answer constant jsonb :=
    private.repeat_answer(p_org, p_call, 'cancel_appointment', p_hash, 'hold_released');
begin
  return case when v_answer -> 'repeated' is null or v_answer ->> 'holdId' = p_named::text
    then v_answer || '{"repeated": true}' end;
end
$$;
comment on function private.repeat_released is
  'hold_released again, if it was the latest answer of a call, to the same request: once, unless that names the hold (p_named).';
revoke execute on function private.repeat_released from public;

create or replace function private.change_appointment(
  p_org public.organizations, p_call jsonb, p_kind text, p_patient jsonb, p_said jsonb,
  p_slot_id text
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_action constant text :=
    p_kind || case when p_kind = 'find' then '_appointments' else '_appointment' end;
  v_hash constant bytea :=
    sha256(convert_to(jsonb_build_array(p_patient, p_said, p_slot_id)::text, 'UTF8'));
  v_phone constant bytea := private.hash_phone(p_patient ->> 'phone');
  v_call public.calls;
  v_now timestamptz;
  v_answer jsonb;
begin
  v_call := private.enter_call(p_org, p_call, p_patient ->> 'name');
  v_answer := private.recall_answer(p_org.id, p_call, v_action, v_hash);
  if v_answer is not null then
    return v_answer;
  end if;
  perform private.lock_phones(array[private.caller_key(p_org.id, v_call), v_phone]);
  v_now := clock_timestamp();
  if p_kind = 'cancel' then
    v_answer := coalesce(private.cancel_hold(p_org, p_call, p_patient, p_said, v_now),
      private.repeat_released(p_org.id, p_call, v_hash, private.read_id(p_said ->> 'id')));
  end if;
  if v_answer is null then
    v_answer := case when private.is_proven(p_org.id, v_call.call_id, v_phone, v_now)
      then private.change_now(p_org, p_call, v_call, p_kind, p_patient, p_said, p_slot_id, v_now)
      else private.open_change(p_org, p_call, v_call, p_kind, p_patient, p_said, p_slot_id, v_now) end;
  end if;
  if p_kind = 'cancel' and v_answer ->> 'outcome' in ('code_needed', 'appointment_not_found') then
    v_answer := v_answer
      || private.describe_kept(p_org, v_call.call_id, p_patient, p_said, v_now);
  end if;
  perform private.audit(
    p_org.id, p_call, v_action, (v_answer ->> 'holdId')::uuid, v_answer ->> 'outcome');
  perform private.record_answer(p_org.id, p_call, v_action, v_hash, v_answer);
  return v_answer;
end
$$;

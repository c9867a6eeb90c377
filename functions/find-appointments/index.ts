/**
 * Tool `find_appointments`: tells a caller which appointments a patient has, once the passcode has
 * proven the number.
 *
 * @module
 */

import { z } from "zod";
import { refuseCommonly, succeed } from "../../shared/answers.ts";
import {
  proofOutcomes,
  refuseChange,
  saySettled,
  sayTimeReleased,
} from "../../shared/appointment.ts";
import { findAppointments, type FindingOutcome } from "../../shared/database/changes.ts";
import { choosePhone, patientFields, phoneOutcomes, refusePhone } from "../../shared/patient.ts";
import { serveTool } from "../../shared/request.ts";
import * as sentences from "../../shared/sentences.ts";

export default serveTool({
  name: "find_appointments",
  description: "Tells which appointments a patient has. Call it when the caller asks what is " +
    "booked, and said the name it was booked under; if it answers code_needed, call send_otp and " +
    "verify_otp, which then tells them. Without a mobile, the front desk helps.",
  input: z.object(patientFields),
  outcomes: {
    code_needed: proofOutcomes.code_needed,
    found: "the appointments of the patient",
    appointment_not_found: proofOutcomes.appointment_not_found,
    change_limit: proofOutcomes.change_limit,
    call_needed: proofOutcomes.call_needed,
    ...phoneOutcomes,
  },
  run: async ({ patientName, patientPhone }, { call, database }) => {
    const phone = await choosePhone(patientPhone, call, database);
    if (phone.kind !== "phone") return refusePhone(phone.kind);
    const { e164, country } = phone;
    const patient = { patientName, patientPhone: e164, patientCountry: country };
    return say(await findAppointments(database, call, patient));
  },
});

function say(finding: FindingOutcome) {
  switch (finding.outcome) {
    case "code_needed": {
      const { outcome, phoneEnding, released, postponed } = finding;
      return succeed(outcome, sentences.codeNeeded({ released, postponed }), {
        ...{ phoneEnding, nextTool: "send_otp", postponed },
        ...sayTimeReleased(released),
      });
    }
    case "found":
    case "appointment_not_found":
      return saySettled(finding);
    case "change_limit":
    case "call_needed":
      return refuseChange(finding.outcome);
    case "unknown_clinic":
    case "cross_tenant_denied":
    case "busy":
      return refuseCommonly(finding.outcome);
  }
}

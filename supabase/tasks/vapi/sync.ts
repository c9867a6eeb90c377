/**
 * Creates and updates what a clinic needs at Vapi: tools, assistant and phone numbers.
 *
 * Everything is looked for before it is created. So a run that was interrupted is finished by the next
 * one, and a further run changes nothing. Tools belong to the functions they call, and the clinics of
 * a project share them. Assistants have the organization in their metadata. Resources of others are
 * not touched unless they are adopted.
 *
 * @module
 */

import { type LineProfile } from "../../../shared/database/calls.ts";
import { composeAssistant, nameAssistant } from "../../../shared/line/assistant.ts";
import { defineForVapi, type FunctionsAddress } from "../../../shared/line/tool_definition.ts";
import type { Tool } from "../../../shared/tool.ts";
import { Stop } from "../task.ts";
import type { Body, Kind, Resource, VapiAccount } from "./account.ts";
import { changedFields, listDifferences } from "./difference.ts";

/** A clinic, and what is known of it at Vapi. */
export interface Line {
  readonly orgId: string;
  readonly profile: LineProfile;
  /** Called numbers, E.164. */
  readonly numbers: readonly string[];
  readonly phoneNumberIds: readonly string[];
  readonly assistantIds: readonly string[];
}

/** What the account should have. */
export interface Wish {
  readonly line: Line;
  readonly tools: readonly Tool[];
  readonly address: FunctionsAddress;
  /** Whether to take over resources of the same name or number that were made elsewhere. */
  readonly adopts: boolean;
  /** How to import a number that is not at Vapi yet; undefined when the Twilio account is unknown. */
  readonly twilioImport?: Body | undefined;
}

/** One resource, and what to do with it. */
export interface Step {
  readonly kind: Kind;
  /** The name for people. */
  readonly name: string;
  readonly present: Resource | undefined;
  /** Empty when nothing changes. */
  readonly differences: readonly string[];
  /** Why nothing can be done, for the operator. */
  readonly obstacle?: string;
}

/** What the account has. */
export interface Inventory {
  readonly tools: readonly Resource[];
  readonly assistants: readonly Resource[];
  readonly numbers: readonly Resource[];
}

/** Reads the account. */
export async function takeInventory(account: VapiAccount): Promise<Inventory> {
  const [tools, assistants, numbers] = [
    await account.list("tool"),
    await account.list("assistant"),
    await account.list("phone-number"),
  ];
  return { tools, assistants, numbers };
}

/** What `sync` would do, in order: tools, assistant, numbers. */
export function planSync(wish: Wish, inventory: Inventory): Step[] {
  const toolSteps = wish.tools.map((tool) => planTool(wish, tool, inventory.tools));
  const ids = toolSteps.map(({ present }) => present?.id ?? "(new)");
  const assistant = planAssistant(wish, inventory.assistants, ids);
  return [
    ...toolSteps,
    assistant,
    ...wish.line.numbers.map((number) =>
      planNumber(wish, number, inventory, assistant.present?.id ?? "(new)")
    ),
  ];
}

/** Is told of each resource that is created or changed, and of the ids to register. */
export interface SyncObserver {
  changed(step: Step): void;
  /** Registers the id of an assistant or number, before anything else is done. */
  register(kind: "vapi_assistant" | "vapi_phone_number", id: string): Promise<void>;
}

/** Carries out a plan. When it returns, the account is as planned. */
export async function carryOut(
  wish: Wish,
  inventory: Inventory,
  account: VapiAccount,
  observer: SyncObserver,
): Promise<void> {
  const apply = async (
    step: Step,
    wanted: Body,
    isSame: (made: Resource) => boolean,
  ): Promise<Resource> => {
    if (step.obstacle) throw new Stop(1, step.obstacle);
    if (!step.present) {
      const made = await account.create(step.kind, wanted, isSame);
      observer.changed(step);
      return made;
    }
    const fields = changedFields(step.present, wanted);
    if (Object.keys(fields).length === 0) return step.present;
    const { provider } = step.present;
    // Vapi needs a number's provider, even in an update.
    const body = step.kind === "phone-number" ? { provider, ...fields } : fields;
    const updated = await account.update(step.kind, step.present.id, body);
    observer.changed(step);
    return updated;
  };

  const toolIds: string[] = [];
  for (const tool of wish.tools) {
    const step = planTool(wish, tool, inventory.tools);
    const isSame = (made: Resource) => isOurTool(wish, tool, made);
    toolIds.push((await apply(step, wantedTool(wish, tool), isSame)).id);
  }
  const step = planAssistant(wish, inventory.assistants, toolIds);
  const isSame = (made: Resource) => organizationOf(made) === wish.line.orgId;
  const assistant = await apply(step, wantedAssistant(wish, toolIds), isSame);
  await observer.register("vapi_assistant", assistant.id);
  for (const number of wish.line.numbers) {
    const planned = planNumber(wish, number, inventory, assistant.id);
    const wanted = wantedNumber(wish, number, assistant.id, planned.present);
    const made = await apply(planned, wanted, (made) => made["number"] === number);
    await observer.register("vapi_phone_number", made.id);
  }
}

function wantedTool({ address }: Wish, tool: Tool): Body {
  return { ...defineForVapi(tool, address) };
}

function planTool(wish: Wish, tool: Tool, present: readonly Resource[]): Step {
  const named = present.filter((found) => nameOfTool(found) === tool.name);
  const ours = named.find((found) => isOurTool(wish, tool, found));
  const found = ours ?? (wish.adopts ? named[0] : undefined);
  const [foreign] = named;
  return describeStep("tool", tool.name, found, wantedTool(wish, tool), {
    ...(!found && foreign
      ? {
        obstacle: `The account has a tool ${tool.name} that calls ${urlOf(foreign)}. ` +
          "Give --adopt to change it, or remove it at Vapi",
      }
      : {}),
  });
}

function isOurTool({ address }: Wish, tool: Tool, found: Resource): boolean {
  return nameOfTool(found) === tool.name &&
    String(urlOf(found) ?? "").startsWith(`${address.functionsUrl}/`);
}

function wantedAssistant({ line, tools, address }: Wish, toolIds: readonly string[]): Body {
  const names = tools.map(({ name }) => name);
  return { ...composeAssistant(line.profile, names, { toolIds }, address) };
}

function planAssistant(
  wish: Wish,
  present: readonly Resource[],
  toolIds: readonly string[],
): Step {
  const { orgId, assistantIds, profile } = wish.line;
  const name = nameAssistant(profile);
  const registered = present.find(({ id }) => assistantIds.includes(id));
  const found = registered ?? present.find((one) => organizationOf(one) === orgId);
  const owner = found && organizationOf(found);
  if (found && owner !== undefined && owner !== orgId && !wish.adopts) {
    return describeStep("assistant", name, undefined, {}, {
      obstacle: `The assistant ${found.id} is registered for this clinic, but at Vapi it belongs ` +
        `to the organization ${owner}. Give --adopt to take it over`,
    });
  }
  const namesake = present.find((one) => one["name"] === name);
  if (!found && namesake && !wish.adopts) {
    return describeStep("assistant", name, undefined, {}, {
      obstacle: `The account has an assistant ${name} that this task did not make. ` +
        "Give --adopt to change it, or rename it at Vapi",
    });
  }
  return describeStep("assistant", name, found ?? namesake, wantedAssistant(wish, toolIds));
}

function wantedNumber(
  { line: { profile }, address, twilioImport }: Wish,
  number: string,
  assistantId: string,
  present: Resource | undefined,
): Body {
  const { transferNumber } = profile;
  return {
    ...(present ? {} : { ...twilioImport, number }),
    name: `${profile.slug.slice(0, 26)} ${number}`.slice(0, 40),
    assistantId,
    server: {
      url: `${address.functionsUrl}/vapi-webhook`,
      timeoutSeconds: 7,
      ...(address.credentialId === undefined ? {} : { credentialId: address.credentialId }),
    },
    ...(transferNumber === undefined || transferNumber === number
      ? {}
      : { fallbackDestination: { type: "number", number: transferNumber } }),
  };
}

function planNumber(
  wish: Wish,
  number: string,
  { numbers, assistants }: Inventory,
  assistantId: string,
): Step {
  const found = numbers.find((one) => one["number"] === number);
  const wanted = wantedNumber(wish, number, assistantId, found);
  if (!found && !wish.twilioImport) {
    return describeStep("phone-number", number, undefined, wanted, {
      obstacle:
        `The number ${number} is not at Vapi. Import it there, or store the clinic's Twilio ` +
        "account with deno task credentials set and give CREDENTIAL_KEYS, and run this again",
    });
  }
  const taken = found?.["assistantId"];
  const isForeign = typeof taken === "string" && taken !== assistantId &&
    assistants.some(({ id }) => id === taken);
  return describeStep("phone-number", number, found, wanted, {
    ...(isForeign && !wish.adopts
      ? {
        obstacle: `Calls to ${number} go to the assistant ${taken}. Give --adopt to let this ` +
          "clinic's assistant take them",
      }
      : {}),
  });
}

function describeStep(
  kind: Kind,
  name: string,
  present: Resource | undefined,
  wanted: Body,
  rest: Pick<Step, "obstacle"> = {},
): Step {
  return {
    kind,
    name,
    present,
    differences: present ? listDifferences(present, wanted) : [],
    ...rest,
  };
}

function nameOfTool(found: Resource): unknown {
  return propertyOf(found["function"], "name");
}

function urlOf(found: Resource): unknown {
  return propertyOf(found["server"], "url");
}

function organizationOf(found: Resource): unknown {
  return propertyOf(found["metadata"], "organization");
}

function propertyOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

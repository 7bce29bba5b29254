import { closeAll } from '#shared/core/close-all';
import { Consumer, type BaseOptions } from '@platformatic/kafka';
import type { GroupMembership, JoinGroupOptions, MemberIdentity } from '../kafka-driver.ts';
import type { FetchLoop } from './fetch-loop.ts';
import type { PlatformaticAdmin } from './platformatic-admin.ts';
import { guard } from './platformatic-errors.ts';

export interface PlatformaticMembershipOptions {
  readonly base: BaseOptions;
  readonly join: JoinGroupOptions;
  readonly admin: PlatformaticAdmin;
  /** Joins, and sends the heartbeats. */
  readonly member: Consumer;
  readonly fetcher: Consumer;
  readonly fetchLoop: FetchLoop;
}

/** A member of a group with the clients that it takes, as a broker answers the requests of a connection one after the other. */
export class PlatformaticMembership implements GroupMembership {
  #identity: Omit<MemberIdentity, 'coordinatorId'> = { group: '', generation: -1, memberId: '' };
  #coordinatorId = -1;
  readonly #options: PlatformaticMembershipOptions;
  /**
   * Never joins. A commit that is refused in a rebalance makes the client join again, beside the join that its heartbeats have begun: the two
   * took each other's member ids away, left members behind that nobody spoke for, and the group was shared out anew for ever. Without retries it
   * leaves that, and gives the refusal to us.
   */
  readonly #committer: Consumer;
  #lastCommit: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: PlatformaticMembershipOptions) {
    this.#options = options;
    this.#committer = new Consumer({ ...options.base, groupId: options.join.group, autocommit: false, retries: 0 });
    this.#committer.on('error', () => undefined); // connection troubles come back as rejections of the calls
  }

  /** The coordinator as the heartbeats know it now: the group may have moved to another broker since it was last shared out. */
  get identity(): MemberIdentity {
    // While it is looked for again, most likely it is the one that it was.
    this.#coordinatorId = this.#options.member.coordinatorId ?? this.#coordinatorId;
    return { ...this.#identity, coordinatorId: this.#coordinatorId };
  }

  joined(identity: Omit<MemberIdentity, 'coordinatorId'>): void {
    this.#identity = identity;
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  committed(partitions: readonly number[]): Promise<ReadonlyMap<number, bigint | undefined>> {
    const { admin, join } = this.#options;
    return admin.stablePositions(join.group, join.topic, partitions);
  }

  start(partition: number, offset: bigint): void {
    this.#options.fetchLoop.start(partition, offset);
  }

  pause(partition: number): void {
    this.#options.fetchLoop.pause(partition);
  }

  resume(partition: number): void {
    this.#options.fetchLoop.resume(partition);
  }

  commit(next: ReadonlyMap<number, bigint>, { memberId, generation }: MemberIdentity): Promise<void> {
    const { topic } = this.#options.join;
    const offsets = [...next].map(([partition, offset]) => ({ topic, partition, offset, leaderEpoch: -1 }));
    return guard('commit positions', () => {
      // One after the other: the client sends what these two fields say when it comes to it.
      const committed = this.#lastCommit.then(async () => {
        this.#committer.memberId = memberId;
        this.#committer.generationId = generation;
        await this.#committer.commit({ offsets });
      });
      this.#lastCommit = committed.catch(() => undefined); // the caller has the failure
      return committed;
    });
  }

  close(): Promise<void> {
    this.#closing ??= guard('leave the group', async () => {
      const { member, fetcher, fetchLoop } = this.#options;
      const stopped = fetchLoop.close();
      // Leaving first lets the others take over at once; a fetch under way may take its full wait.
      await closeAll([
        () => member.close(true),
        () => stopped,
        () => fetcher.close(true),
        () => this.#committer.close(true),
      ]);
    });
    return this.#closing;
  }
}

import { duplicateKey } from '@devpocket/database';
import { type RequestOrigin } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { MailOutbox } from '@devpocket/mail';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { createHash } from 'node:crypto';
import { DeviceRecord } from './device.schema';

const SHOWN_CHARACTERS = 200;

/** Tells an account's owner when it is signed in from a device of a kind that it has not seen for half a year. */
@Injectable()
export class Devices {
  constructor(
    @InjectModel(DeviceRecord.name) private readonly devices: Model<DeviceRecord>,
    private readonly outbox: MailOutbox,
    private readonly clock: Clock,
  ) {}

  async forget(userId: string): Promise<void> {
    await this.devices.deleteMany({ user_id: new Types.ObjectId(userId) });
  }

  async signedIn(userId: string, { userAgent, ip }: RequestOrigin): Promise<void> {
    const now = this.clock.now();
    const user = new Types.ObjectId(userId);
    const device = createHash('sha256')
      .update(userAgent ?? '')
      .digest('hex');
    const { matchedCount } = await this.devices.updateOne({ user_id: user, device }, { $max: { seen_at: now } });
    if (matchedCount === 1) return;
    try {
      await this.devices.create({ _id: new Types.ObjectId(), user_id: user, device, seen_at: now });
    } catch (error) {
      if (duplicateKey(error)) return; // signed in twice at once: told once
      throw error;
    }
    // The first one is how the account began.
    if ((await this.devices.countDocuments({ user_id: user })) < 2) return;
    const shown = (userAgent ?? 'unknown').slice(0, SHOWN_CHARACTERS);
    await this.outbox.put('new-device', { user: userId, device: shown, ip: ip ?? 'unknown', at: now.toISOString() });
  }
}

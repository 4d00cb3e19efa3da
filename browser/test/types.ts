// Not run: the type checker reads here what a user of the built types may write.
import AnySocket, { AnyPeer, type ConnectOptions } from "../../src/wirehop/anysocket/browser/dist/anysocket";

export async function use(): Promise<void> {
    const socket = new AnySocket({ rpc: {} });
    const options: ConnectOptions = { reconnect: { maxDelay: 5 } };
    const peer: AnyPeer = await socket.connect("ws", "localhost", 3000, options);
    socket.on("message", (packet) => packet.reply(packet.msg));
    socket.on("reconnecting", ({ delay }) => delay.toFixed());
    peer.on("disconnected", (gone, reason) => gone.id + reason.length);
    const sent: void = await peer.send(1);
    const greeting: string = await peer.rpc.hello.user("Ada", sent);
    const count: number = peer.stats.packetsIn + (await peer.getSyncedTime()).rtt;
    (await peer.send({ greeting, count }, true)).msg.anything();
    // @ts-expect-error there is no such event
    socket.on("nonsense", () => {});
    // @ts-expect-error nor such an option
    await socket.connect({ cookies: {} });
}

"""Ann reaches Bob through a relay that both are connected to, and that cannot read what they say."""

import asyncio

from wirehop import AnySocket


async def main():
    async with AnySocket() as relay, AnySocket() as ann, AnySocket() as bob:
        relay.can_proxy = lambda peer_id, other_peer_id: other_peer_id == bob.id
        listener = await relay.listen("ws", ip="127.0.0.1", port=0)
        for end in (ann, bob):
            await end.connect("ws", "127.0.0.1", listener.port)
        bob.on("message", lambda packet: packet.reply({"bob got": packet.msg}))
        bob.set_rpc({"hello": lambda name, peer: f"Hello {name}!"})

        peer = await ann.proxy(bob.id, relay.id)
        await peer.e2e()
        reply = await peer.send("for Bob alone", await_reply=True)
        print(reply.msg, await peer.rpc.hello("Ann"))
        print("through a relay:", peer.is_proxy(), "- encrypted:", peer.is_e2e_enabled())

        lost = asyncio.get_running_loop().create_future()
        peer.on("disconnected", lambda peer, reason: lost.set_result(reason))
        await relay.stop()
        print("the relay stopped:", await lost)


asyncio.run(main())

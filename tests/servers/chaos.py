#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""A TCP proxy with faults, in front of any server.

    chaos.py HOST:PORT [CONTROL] [--log FILE]

Listens on a free port of 127.0.0.1, prints it as its first line, and serves until it is ended. CONTROL is a file with
words NAME=VALUE, read anew for each connection, so that a test can switch faults on and off while a program runs; no
file, no faults. "up" is from the client to the server.

    refuse=1            reset every connection at once
    refuse_every=N      reset every Nth connection, counted since the file was changed
    latency=SECONDS     before each block is passed on
    rate=BYTES          so many a second, in each direction
    cut_up=N            reset the connection when N bytes have gone up     cut_down=N  ... down
    flip_up=N           one bit of byte N is wrong, on its way up          flip_down=N ... down
    stall_up=N          nothing more is passed on after N bytes up         stall_down=N ... down
    times=N             the faults above befall so many connections only, counted since the file was changed

The log has one line for each connection when it ends or stalls: number, bytes up, bytes down, what befell it."""
import asyncio
import os
import socket
import struct
import sys

BLOCK = 16384
NUMBERS = ('refuse', 'refuse_every', 'latency', 'rate', 'cut_up', 'cut_down', 'flip_up', 'flip_down', 'stall_up',
           'stall_down', 'times')


class Control:
    """The faults that stand in the file, and how many connections came since they do."""

    def __init__(self, name):
        self.name, self.state, self.faults, self.count = name, None, {}, 0

    def next_faults(self):
        try:
            status = os.stat(self.name)
            state = (status.st_mtime_ns, status.st_ino, status.st_size)
            if state != self.state:
                with open(self.name, encoding='utf-8') as file:
                    words = dict(word.split('=', 1) for word in file.read().split())
                self.faults, self.count, self.state = {n: float(words[n]) for n in words if n in NUMBERS}, 0, state
        except (OSError, TypeError):
            self.faults, self.count, self.state = {}, 0, None
        self.count += 1
        if self.count > self.faults.get('times', float('inf')):
            return {}
        faults = dict(self.faults)
        every = int(faults.get('refuse_every', 0))
        if every and self.count % every == 0:
            faults['refuse'] = 1
        return faults


def reset(writer):
    try:
        connection = writer.get_extra_info('socket')
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    except OSError:
        pass
    writer.transport.abort()


async def client_gone(writer):
    """Waits for as long as the client bears it. Nothing is read meanwhile, so only the kernel knows of its end."""
    established = 1
    while not writer.is_closing():
        info = writer.get_extra_info('socket').getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        if info[0] != established:
            return
        await asyncio.sleep(0.1)


class Link:
    """One connection through the proxy."""

    def __init__(self, number, faults, log):
        self.number, self.faults, self.log = number, faults, log
        self.done, self.fate = {'up': 0, 'down': 0}, 'closed'

    def write_log(self):
        if self.log:
            print(self.number, self.done['up'], self.done['down'], self.fate, file=self.log, flush=True)
            self.log = None

    def fault(self, name, way):
        return self.faults.get(f'{name}_{way}', -1)

    async def pump(self, way, reader, writer, both):
        """Passes on one direction until its end. The position of a fault is a byte's, wherever the blocks end."""
        try:
            while True:
                block = await reader.read(BLOCK)
                if not block:
                    break
                block = await self.befall(way, block, writer, both)
                if block is None:
                    return
                writer.write(block)
                await writer.drain()
                self.done[way] += len(block)
                if self.faults.get('rate'):
                    await asyncio.sleep(len(block) / self.faults['rate'])
            if writer.can_write_eof():
                writer.write_eof()
        except (ConnectionError, OSError):
            for side in both:
                reset(side)

    async def befall(self, way, block, writer, both):
        """What is left to pass on of BLOCK; None when the connection has ended here."""
        begin, end = self.done[way], self.done[way] + len(block)
        await asyncio.sleep(self.faults.get('latency', 0))
        at = int(self.fault('flip', way))
        if begin <= at < end:
            block = block[:at - begin] + bytes([block[at - begin] ^ 1]) + block[at - begin + 1:]
            self.fate = 'flipped'
        at = int(self.fault('stall', way))
        if 0 <= at < end:
            writer.write(block[:at - begin])
            await writer.drain()
            self.done[way], self.fate = at, 'stalled'
            self.write_log()
            await client_gone(both[0])
            for side in both:
                reset(side)
            return None
        at = int(self.fault('cut', way))
        if 0 <= at < end:
            writer.write(block[:at - begin])
            await writer.drain()
            await asyncio.sleep(0.05)  # a reset overtakes what the other side has not read yet
            self.done[way], self.fate = at, 'cut'
            for side in both:
                reset(side)
            return None
        return block


class Proxy:
    def __init__(self, host, port, control, log):
        self.host, self.port, self.control, self.log, self.number = host, port, control, log, 0

    async def connection(self, reader, writer):
        self.number += 1
        link = Link(self.number, self.control.next_faults(), self.log)
        if link.faults.get('refuse'):
            link.fate = 'refused'
            reset(writer)
        else:
            await self.join(link, reader, writer)
        link.write_log()

    async def join(self, link, reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            link.fate = 'server gone'
            reset(writer)
            return
        both = (writer, server_writer)
        await asyncio.gather(link.pump('up', reader, server_writer, both),
                             link.pump('down', server_reader, writer, both))
        for side in both:
            side.close()


async def main(words):
    log = None
    if '--log' in words:
        at = words.index('--log')
        log = open(words[at + 1], 'a', encoding='utf-8')
        del words[at:at + 2]
    if not words or ':' not in words[0] or len(words) > 2:
        sys.exit(__doc__)
    host, port = words[0].rsplit(':', 1)
    proxy = Proxy(host, int(port), Control(words[1] if len(words) > 1 else None), log)
    server = await asyncio.start_server(proxy.connection, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == '__main__':
    try:
        asyncio.run(main(sys.argv[1:]))
    except KeyboardInterrupt:
        pass

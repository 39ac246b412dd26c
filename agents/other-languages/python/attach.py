"""The Attach stream: one process, its calls told apart by their seq, chunks paid for with credit."""
import queue
import threading
from typing import Iterator

import grpc

from stubs import kernel_pb2, kernel_pb2_grpc

# Chunks that may be under way for one call: a slow reader pauses its own call, nobody else's.
WINDOW = 32


class SyscallFailed(Exception):
    def __init__(self, error):
        super().__init__(f"{error.name}: {error.message}")
        self.name, self.argument = error.name, error.argument
        self.retry_after_us = error.retry_after_us


class Call:
    def __init__(self, attachment: "Attachment", seq: int):
        self._attachment, self._seq = attachment, seq
        self._frames: queue.Queue = queue.Queue()

    def chunks(self) -> Iterator[str]:
        """The text as it comes; each chunk that was taken is paid for, so that the next may come."""
        while (frame := self._next()).WhichOneof("frame") == "chunk":
            self._attachment.send(credit=dict(seq=self._seq, n=1))
            yield frame.chunk.text
        self._frames.put(frame)

    def result(self):
        """Waits for the reply. Raises SyscallFailed."""
        while (frame := self._next()).WhichOneof("frame") != "reply":
            pass
        # The kernel keeps a result, so that a lost one can be asked for again, until this.
        self._attachment.send(ack=dict(acked=[self._seq]))
        if frame.reply.WhichOneof("result") == "error":
            raise SyscallFailed(frame.reply.error)
        return frame.reply

    def _next(self):
        frame = self._frames.get()
        if frame is None:
            raise ConnectionError("the stream to the kernel is lost")
        return frame


class Attachment:
    def __init__(self, channel: grpc.Channel, token: str, name: str):
        self._out: queue.Queue = queue.Queue()
        self._calls: dict[int, Call] = {}
        self._seq = 0
        self._stream = kernel_pb2_grpc.KernelStub(channel).Attach(iter(self._out.get, None))
        self.send(hello=dict(abi=1, token=token, name=name))
        first = next(self._stream)
        if first.WhichOneof("frame") == "reply":
            raise SyscallFailed(first.reply.error)
        self.welcome = first.welcome
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, **frame) -> None:
        self._out.put(kernel_pb2.ClientFrame(**frame))

    def start(self, timeout_s: float = 60, **call) -> Call:
        """Makes a call by its name in the Syscall message, such as `generate=dict(prompt=…)`."""
        self._seq += 1
        made = self._calls[self._seq] = Call(self, self._seq)
        timeout_us = int(timeout_s * 1e6)
        self.send(call=dict(seq=self._seq, timeout_us=timeout_us, credit=WINDOW, **call))
        return made

    def close(self) -> None:
        self._out.put(None)

    def _read(self) -> None:
        try:
            for frame in self._stream:
                kind = frame.WhichOneof("frame")
                if kind == "chunk":
                    self._calls[frame.chunk.seq]._frames.put(frame)
                elif kind == "reply":
                    call = self._calls.pop(frame.reply.seq, None)
                    if call:
                        call._frames.put(frame)
        except grpc.RpcError:
            pass  # Whoever waits is told below.
        for call in self._calls.values():
            call._frames.put(None)

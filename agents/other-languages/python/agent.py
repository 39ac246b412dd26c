"""An agent in Python, from the .proto files alone: a process of the kernel that generates text.

python agent.py [PROMPT]

Where the kernel is and the token come from CONTIX_ADDRESS and CONTIX_TOKEN, or from CONTIX_HOME.
"""
import sys

import grpc

from attach import Attachment, SyscallFailed
from kernel import connect

prompt = " ".join(sys.argv[1:]) or "Once upon a time"

with connect() as (channel, token):
    try:
        kernel = Attachment(channel, token, name="agent.py")
    except grpc.RpcError as error:
        sys.exit(f"no kernel: {error.details()}")
    except SyscallFailed as error:
        sys.exit(str(error))

    # The text as it comes.
    call = kernel.start(generate=dict(prompt=prompt, max_tokens=40, stream=True))
    for text in call.chunks():
        print(text, end="", flush=True)
    reply = call.result()
    print(f"\n({reply.usage.generated_tokens} tokens, {reply.generate.finish})")

    # Two calls at once; each answer finds its own.
    count = kernel.start(tokenize=dict(text=prompt))
    stats = kernel.start(stats={})
    print(f"{len(count.result().tokenize.tokens)} tokens in, {stats.result().stats.slots} slots")

    # A refusal is a reply too: which argument, what was wrong, what would be right.
    try:
        kernel.start(generate=dict(prompt="")).result()
    except SyscallFailed as error:
        print(error)

    kernel.close()

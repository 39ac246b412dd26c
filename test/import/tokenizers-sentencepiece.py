"""Trains SentencePiece models and encodes texts with them.

Reads {"corpus": [..], "texts": [..], "options": {..}} from standard input, writes
{"pieces": [[text, score, type]..], "charsmap": base64, "ids": [[..]]}. `type` is as
GGUF has it.
"""
import base64
import io
import json
import sys

import sentencepiece

request = json.load(sys.stdin)
written = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(request["corpus"]), model_writer=written, minloglevel=2,
    hard_vocab_limit=False, num_threads=1, **request["options"],
)
processor = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())


def fields(data):
    """The fields of a protobuf message: pairs of number and value."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        else:
            size = {1: 8, 5: 4}.get(tag & 7) or varint()
            yield tag >> 3, data[at:at + size]
            at += size


def kind(token):
    if processor.is_unknown(token):
        return 2
    if processor.is_control(token):
        return 3
    if processor.is_byte(token):
        return 6
    return 5 if processor.is_unused(token) else 1


charsmap = b""
for number, value in fields(written.getvalue()):
    if number == 3:  # normalizer_spec
        charsmap = dict(fields(value)).get(2, b"")
count = processor.get_piece_size()
json.dump({
    "pieces": [[processor.id_to_piece(i), processor.get_score(i), kind(i)] for i in range(count)],
    "charsmap": base64.b64encode(charsmap).decode(),
    "ids": [processor.encode(text) for text in request["texts"]],
}, sys.stdout)

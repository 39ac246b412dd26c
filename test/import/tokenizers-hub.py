"""Trains tokenizers of every kind on a corpus and encodes texts with them.

Reads {"corpus": [..], "texts": [..]} from standard input, writes a list of
{"name", "json", "lossless", "ids": [[..]], "whole": [[..]], "decoded": [..]}.
Texts are encoded in which no special token is written.
"""
import json
import sys

from tokenizers import (
    AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
    trainers,
)

request = json.load(sys.stdin)
ALPHABET = pre_tokenizers.ByteLevel.alphabet()
BYTES = ["<0x%02X>" % byte for byte in range(256)]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
found = []


def report(name, tokenizer, lossless=False):
    encode = lambda text, whole: tokenizer.encode(text, add_special_tokens=whole).ids
    ids = [encode(text, False) for text in request["texts"]]
    found.append({
        "name": name,
        "json": json.loads(tokenizer.to_str()),
        "lossless": lossless,
        "ids": ids,
        "whole": [encode(text, True) for text in request["texts"]],
        "decoded": [tokenizer.decode(some) for some in ids],
    })


def change(tokenizer, model=None, **parts):
    """The same tokenizer with other parts."""
    data = json.loads(tokenizer.to_str())
    data["model"].update(model or {})
    data.update(parts)
    return Tokenizer.from_str(json.dumps(data))


def trained(model, trainer, normalizer=None, pre=None, decoder=None, post=None):
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre:
        tokenizer.pre_tokenizer = pre
    if decoder:
        tokenizer.decoder = decoder
    tokenizer.train_from_iterator(request["corpus"], trainer)
    if post:
        tokenizer.post_processor = post
    return tokenizer


def byte_level(pre, normalizer=None, post=None):
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=ALPHABET, special_tokens=["<s>", "</s>"],
        show_progress=False,
    )
    return trained(models.BPE(), trainer, normalizer, pre, decoders.ByteLevel(), post)


plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
report("byte-level", byte_level(plain), lossless=True)
report("byte-level, prefix space", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)))
report("byte-level, digits", byte_level(
    pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain])), lossless=True)
bos = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
split = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
])
llama3 = byte_level(split, post=processors.Sequence([processors.ByteLevel(), bos]))
report("byte-level, llama-3", llama3, lossless=True)
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
report("byte-level, gpt-4o", byte_level(pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(GPT4O), "isolated"),
    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
])), lossless=True)
# A token that no merge makes, so that ignoring merges is seen.
vocab = json.loads(llama3.to_str())["model"]["vocab"]
report("byte-level, ignoring merges", change(
    llama3, {"ignore_merges": True, "vocab": {**vocab, "Ġtheyfunction": 600, "DON": 601}}),
    lossless=True)
report("byte-level, NFC", byte_level(split, normalizers.NFC()))
report("byte-level, roberta", byte_level(
    pre_tokenizers.ByteLevel(add_prefix_space=True),
    post=processors.RobertaProcessing(("</s>", 1), ("<s>", 0))))


def pieces(pre=None, normalizer=None, **options):
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>", "<s>", "</s>"] + BYTES, limit_alphabet=120,
        show_progress=False,
    )
    model = models.BPE(unk_token="<unk>", **options)
    decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
    ])
    tokenizer = trained(model, trainer, normalizer, pre, decoder)
    # The trainer takes the bytes for special tokens; models have them as tokens only.
    data = json.loads(tokenizer.to_str())
    added = [token for token in data["added_tokens"] if token["id"] < 3]
    return change(tokenizer, added_tokens=added)


spaces = normalizers.Replace(" ", "▁")
prepended = normalizers.Sequence([normalizers.Prepend("▁"), spaces])
fallback = {"byte_fallback": True, "fuse_unk": True}
report("pieces, llama-2", pieces(normalizer=prepended, **fallback))
report("pieces, gemma", pieces(
    pre_tokenizers.Split(" ", "merged_with_previous"), spaces, **fallback))
report("pieces, unknown", pieces(normalizer=prepended))
report("pieces, fused unknown", pieces(normalizer=prepended, fuse_unk=True))
for scheme in ["always", "first", "never"]:
    for cut in [True, False]:
        report(f"pieces, metaspace {scheme} {cut}", pieces(
            pre_tokenizers.Metaspace(prepend_scheme=scheme, split=cut), **fallback))


def unigram(pre, normalizer=None, **options):
    trainer = trainers.UnigramTrainer(
        vocab_size=700, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>",
        show_progress=False,
    )
    tokenizer = trained(models.Unigram(), trainer, normalizer, pre, decoders.Metaspace())
    return change(tokenizer, options) if options else tokenizer


report("unigram", unigram(pre_tokenizers.Metaspace()))
report("unigram, whole text", unigram(None, prepended))
report("unigram, words", unigram(pre_tokenizers.Sequence([
    pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])))
flat = unigram(pre_tokenizers.Metaspace())
vocab = json.loads(flat.to_str())["model"]["vocab"]
report("unigram, bytes", change(flat, {
    "byte_fallback": True, "vocab": vocab + [[name, -20.0] for name in BYTES]}))
if request["charsmap"]:
    precompiled = {"type": "Precompiled", "precompiled_charsmap": request["charsmap"]}
    report("unigram, charsmap", change(flat, normalizer=precompiled))


def word_piece(normalizer):
    trainer = trainers.WordPieceTrainer(
        vocab_size=800, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        show_progress=False,
    )
    return trained(
        models.WordPiece(unk_token="[UNK]"), trainer, normalizer,
        pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(cleanup=False),
        processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
    )


report("wordpiece, uncased", word_piece(normalizers.BertNormalizer(lowercase=True)))
report("wordpiece, cased", word_piece(normalizers.BertNormalizer(lowercase=False)))
report("wordpiece, lowercase with accents", word_piece(
    normalizers.BertNormalizer(lowercase=True, strip_accents=False)))

# Steps by themselves, in front of a model that shows where they cut.
some = byte_level(plain)
for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
    for invert in [False, True]:
        for pattern in ["e", Regex(r"\s+|[a-e]"), Regex(r"\w+")]:
            step = pre_tokenizers.Split(pattern, behavior, invert)
            some.pre_tokenizer = pre_tokenizers.Sequence([step, plain])
            report(f"split {pattern} {behavior} {invert}", some)
STEPS = {
    "whitespace": pre_tokenizers.Whitespace(),
    "whitespace split": pre_tokenizers.WhitespaceSplit(),
    "bert": pre_tokenizers.BertPreTokenizer(),
    "punctuation": pre_tokenizers.Punctuation(),
    "punctuation contiguous": pre_tokenizers.Punctuation("contiguous"),
    "digits": pre_tokenizers.Digits(),
    "delimiter": pre_tokenizers.CharDelimiterSplit("e"),
}
for name, step in STEPS.items():
    some.pre_tokenizer = pre_tokenizers.Sequence([step, plain])
    report(name, some)
NORMALIZERS = {
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
    "NFKD": normalizers.NFKD(),
    "lowercase": normalizers.Lowercase(),
    "strip accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    "strip": normalizers.Strip(),
    "strip left": normalizers.Strip(right=False),
    "replace": normalizers.Replace(Regex(r"\s+"), "$&"),
    "bert normalizer": normalizers.BertNormalizer(),
}
some.pre_tokenizer = plain
for name, step in NORMALIZERS.items():
    some.normalizer = step
    report(name, some)

some = byte_level(plain, normalizers.Lowercase())
some.add_tokens([
    AddedToken("the", single_word=True, normalized=False),
    AddedToken("DER", normalized=True),
    AddedToken("und", lstrip=True, rstrip=True, normalized=False),
    AddedToken("ist", lstrip=True, normalized=True),
    AddedToken("  ", normalized=False),
])
report("added tokens", some)

json.dump(found, sys.stdout)

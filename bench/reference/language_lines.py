"""Writes 10,000 lines of varied text, on which tokenizers must agree.

    python language_lines.py ROOT OUT

ROOT is the repository, whose own sources and documents are the lines of code and of English; the others are made up
from a seed: words of many scripts, emoji with their joiners, numbers, addresses, odd spaces, texts of special tokens.
OUT is the file of lines, each ended by a line feed alone.
"""

import random
import sys
import unicodedata
from pathlib import Path

LINES = 10_000
SEED = 20_250_207
CODE = ["crates/**/*.rs", "console/src/**/*.ts", "tests/**/*.slt", "bench/**/*.py", "Cargo.toml", "console/*.json"]
PROSE = ["docs/*.md", "*.md"]
LINE_BYTES_MAX = 120

# First and last letter of each script's block; unassigned ones are left out.
SCRIPTS = {
    "latin": (0x41, 0x24F), "ipa": (0x250, 0x2AF), "greek": (0x370, 0x3FF), "cyrillic": (0x400, 0x52F),
    "armenian": (0x531, 0x58F), "hebrew": (0x5D0, 0x5EA), "arabic": (0x620, 0x6D3), "syriac": (0x710, 0x74F),
    "thaana": (0x780, 0x7B1), "nko": (0x7C0, 0x7F5), "devanagari": (0x904, 0x970), "bengali": (0x985, 0x9FB),
    "gurmukhi": (0xA05, 0xA76), "gujarati": (0xA85, 0xAF1), "oriya": (0xB05, 0xB77), "tamil": (0xB83, 0xBFA),
    "telugu": (0xC05, 0xC7F), "kannada": (0xC85, 0xCF2), "malayalam": (0xD05, 0xD7F), "sinhala": (0xD85, 0xDF4),
    "thai": (0xE01, 0xE5B), "lao": (0xE81, 0xEDF), "tibetan": (0xF00, 0xFDA), "burmese": (0x1000, 0x109F),
    "georgian": (0x10A0, 0x10FF), "jamo": (0x1100, 0x11FF), "ethiopic": (0x1200, 0x139F), "cherokee": (0x13A0, 0x13FD),
    "ogham": (0x1680, 0x169C), "runic": (0x16A0, 0x16F8), "khmer": (0x1780, 0x17F9), "mongolian": (0x1820, 0x18AA),
    "hiragana": (0x3041, 0x309F), "katakana": (0x30A0, 0x30FF), "bopomofo": (0x3105, 0x312F), "han": (0x4E00, 0x9FFF),
    "hangul": (0xAC00, 0xD7A3), "tifinagh": (0x2D30, 0x2D7F), "math": (0x1D400, 0x1D7FF), "gothic": (0x10330, 0x1034A),
    "extension b": (0x20000, 0x200FF), "enclosed": (0x2460, 0x24FF), "roman": (0x2150, 0x218B), "arrows": (0x2190, 0x23FF),
    "boxes": (0x2500, 0x27BF), "half width": (0xFF01, 0xFFEF), "superscripts": (0x2070, 0x209C), "private": (0xE000, 0xE0FF),
}

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.", "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg.",
    "Voix ambiguë d'un cœur qui préfère les jattes de kiwis.", "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה", "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر", "いろはにほへと ちりぬるを わかよたれそ つねならむ",
    "我能吞下玻璃而不伤身体。", "我能吞下玻璃而不傷身體。", "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า", "मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं पहुंचती.", "நான் கண்ணாடி சாப்பிடுவேன்",
    "ვჭამ მინას და არა მტკივა.", "Կրնամ ապակի ուտել և ինծի անհանգիստ չըներ։", "Pijamalı hasta yağız şoföre çabucak güvendi.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.", "Tôi có thể ăn thủy tinh mà không hại gì.", "Ég get etið gler án þess að meiða mig.",
    "Zażółć gęślą jaźń.", "Árvíztűrő tükörfúrógép", "İstanbul'da ILIK ılık İNCİ", "ǅ ǈ ǋ ﬁ ﬂ ß ẞ ſ K Å",
]

EMOJI = ["😀", "🤖", "❤️", "❤", "👍🏽", "👩‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇺🇳", "1️⃣", "#️⃣", "🧑🏿‍🚀", "☕", "⚠️", "🫠", "🀄", "♟️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>", "<|im_start|>system\\n", "[CLS]", "[SEP]",
    "[MASK]", "[UNK]", "[PAD]", "<s>", "</s>", "<unk>", "<0x0A>", "<|im_", "end|>", "< |im_end|>", "<|IM_END|>", "<tool_call>",
]

SPACES = [" ", "  ", "   ", "\t", "\t\t", " \t ", "\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff", "\u2009", "\r", "\x0b", "\x0c",
          "\x85", "\u2028", "\u2029", "\u180e", "\u202f", "\u1680", "\x00", "\x1b", "\x7f", "\u00ad"]

NUMBERS = [
    "{a}", "{a},{b}", "-{a}.{b}e-{c}", "0x{a:x}", "{a}%", "${a}.{c:02}", "{c:02}:{d:02}", "20{c:02}-{d:02}-{e:02}T{c:02}:{d:02}Z",
    "v{c}.{d}.{e}", "10.{c}.{d}.{e}", "+49 {a} {b}", "{a}×{b}", "x^{c}_{d}", "½ + ¼ = ¾", "٣٤٥{a}", "१२३{b}", "Ⅷ.{c}", "{c}²", "１２３{d}",
    "http://www.example.com/{a}?q={b}&r=%20#x{c}", "name{a}@mail-{b}.org", "C:\\Users\\u{a}\\file.{c}", "/usr/lib/x86_64/{a}.so.{c}",
]

CONTRACTIONS = ["I'm", "don't", "we'LL", "they'Ve", "it’s", "O'Brien's", "'tis", "rock'n'roll", "y'all'd've", "CAN'T", "'s", "''ll"]


def letters(script):
    first, last = SCRIPTS[script]
    return [chr(code) for code in range(first, last + 1) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]


def sample(root, patterns, count, chance):
    lines = []
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            for line in path.read_text("utf-8").split("\n"):
                if line.strip() and len(line.encode()) <= LINE_BYTES_MAX:
                    lines.append(line)
    return chance.sample(sorted(set(lines)), count)


def words(chance, alphabets):
    parts = []
    for _ in range(chance.randint(2, 7)):
        alphabet = alphabets[chance.choice(list(alphabets))] if chance.random() < 0.3 else alphabets[chance.favourite]
        word = "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 8)))
        if chance.random() < 0.15:
            word += chr(chance.choice([0x301, 0x308, 0x327, 0x20D7, 0x93C, 0x5B0, 0x64B, 0xE48]))
        parts.append(word)
    return chance.choice([" ", " ", " ", ", ", "、", " - ", "/", "।", "؟ "]).join(parts)


def mixed(chance):
    kinds = [SENTENCES, EMOJI, SPECIAL, CONTRACTIONS, SPACES]
    parts = [chance.choice(chance.choice(kinds)) for _ in range(chance.randint(2, 6))]
    return chance.choice(["", " ", "  "]).join(parts)


def numbers(chance):
    digits = dict(a=chance.randrange(10**9), b=chance.randrange(10**4), c=chance.randrange(60), d=chance.randrange(12), e=chance.randrange(28))
    return chance.choice([" ", ", ", ""]).join(chance.choice(NUMBERS).format(**digits) for _ in range(chance.randint(1, 3)))


def spaces(chance):
    parts = [chance.choice(SPACES + ["word", "Übung", "{", "}", "...", "!?", "--", "==", "\\n"]) for _ in range(chance.randint(3, 12))]
    return "".join(parts)


def main():
    root, out = Path(sys.argv[1]), Path(sys.argv[2])
    chance = random.Random(SEED)
    alphabets = {script: letters(script) for script in SCRIPTS}
    lines = sample(root, CODE, 2_500, chance) + sample(root, PROSE, 1_000, chance)
    for script in sorted(SCRIPTS):
        chance.favourite = script
        lines += [words(chance, alphabets) for _ in range(50)]
    makers = [mixed, mixed, numbers, spaces]
    while len(lines) < LINES:
        lines.append(makers[len(lines) % len(makers)](chance))
    chance.shuffle(lines)
    lines = [line.replace("\n", " ").encode("utf-8", "replace").decode("utf-8") for line in lines[:LINES]]
    out.write_bytes("".join(line + "\n" for line in lines).encode("utf-8"))
    print(f"{len(lines)} lines, {out.stat().st_size} bytes")


main()

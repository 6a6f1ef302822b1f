from manifests.words import words_of


def test_words_differ_neither_by_case_nor_by_punctuation_nor_by_unicode_form():
    assert (
        words_of("“Don’t,” SHE said: café…")
        == words_of("don't she said cafe\u0301")
        == ["don't", "she", "said", "café"]
    )


def test_an_apostrophe_counts_only_within_a_word():
    assert words_of("'tis the dogs' o'clock") == ["tis", "the", "dogs", "o'clock"]
    assert words_of("?! …") == []

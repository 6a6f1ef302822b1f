"""What a file is that holds no dialogues, by the bytes that it begins with."""

_KINDS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"BZh": "packed with bzip2",
    b"\xfd7zX": "packed with xz",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"RIFF": "a WAV or AVI file",
    b"fLaC": "a FLAC recording",
    b"OggS": "an Ogg recording",
    b"ID3": "an MP3 recording",
    b"SQLi": "an SQLite database",
    b"ARRO": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x89HDF": "an HDF5 file",
    b"\x7fELF": "a program",
}


def kind_of(head: bytes) -> str:
    """A few words for the kind of file that begins with these four bytes; empty where it may hold dialogues."""
    return next((kind for start, kind in _KINDS.items() if head.startswith(start)), "")

"""Recognizes files that are not dialogues by their first bytes."""

_KINDS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"BZh": "compressed with bzip2",
    b"\xfd7zX": "compressed with xz",
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
    b"\x7fELF": "an executable",
}


HEAD = 512
"""Number of bytes needed, or all bytes of a shorter file."""
_TAR = 257, b"ustar"
_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<svg")


def kind_of(head: bytes) -> str:
    """A short description of the kind of file that starts with these `HEAD` bytes; empty if it may contain dialogues."""
    if head.startswith(_TAR[1], _TAR[0]):
        return "a tar archive"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        return "a web page or XML"
    return next((kind for start, kind in _KINDS.items() if head.startswith(start)), "")

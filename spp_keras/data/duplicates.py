"""Images that are there more than once."""

from collections import defaultdict

from spp_keras.data.records import Records


def find_duplicates(*records: Records) -> list[list[tuple[int, int]]]:
    """Groups of images whose files have the same bytes.

    Args:
        *records: The images, of one split or of several.

    Returns:
        A list for each picture that is there more than once, of pairs: which of the `records`,
        and the index of the image in it.

    Example:

    >>> import tempfile
    >>> from spp_keras import data
    >>> records = data.load_records("shapes/tiny", "train", data_dir=tempfile.mkdtemp())
    >>> find_duplicates(records), len(find_duplicates(records, records)) == len(records)
    ([], True)
    """
    groups: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for part, images in enumerate(records):
        if images.digests is not None:
            for index, digest in enumerate(images.digests.tolist()):
                groups[digest].append((part, index))
    return [group for group in groups.values() if len(group) > 1]

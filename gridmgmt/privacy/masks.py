"""What is shown in place of a number or a name until somebody gives a purpose for seeing it."""


def mask_identity(text: str) -> str:
    """Return the first six and last four of 18 characters; of anything else its length only.

    >>> mask_identity("11010519491231002X"), mask_identity("11010519491231")
    ('110105********002X', '**************')
    """
    return f"{text[:6]}********{text[-4:]}" if len(text) == 18 else "*" * len(text)


def mask_phone(text: str) -> str:
    """Return a mobile number without its middle four digits, a landline with its area and last digits.

    Takes the form of `numbers.clean_phone`; of anything else only the length is shown.

    >>> mask_phone("13812345678"), mask_phone("0635-8123456"), mask_phone("8123456")
    ('138****5678', '0635-****456', '*******')
    """
    if len(text) == 11 and text.isdecimal():
        return f"{text[:3]}****{text[-4:]}"
    area, dash, local = text.partition("-")
    if dash and len(area) in (3, 4) and len(local) in (7, 8):
        return f"{area}-****{local[4:]}"
    return "*" * len(text)


def mask_name(text: str) -> str:
    """Return the first character and stars for the others; a single character is all stars.

    >>> mask_name("王小明"), mask_name("欧阳娜娜"), mask_name("王")
    ('王**', '欧***', '*')
    """
    return text[:1] + "*" * (len(text) - 1) if len(text) > 1 else "*" * len(text)

"""Pictures of every kind and the RGB pixels that Pillow reads from them, for crates/data/tests/pictures.

    python3 -m venv env && env/bin/pip install pillow && env/bin/python tests/reference/pictures.py
"""

from pathlib import Path

from PIL import Image, ImageOps

HERE = Path(__file__).parent.parent.parent / "crates/data/tests/pictures"
WIDTH, HEIGHT = 16, 8


def colours(x, y):
    """Blocks of 8 pixels, which jpeg keeps: their corners tell all orientations apart."""
    return (200, 40, 30) if x < 8 else (20, 90, 220) if y < 4 else (90, 200, 60)


def picture():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([colours(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
    return image


def main():
    HERE.mkdir(exist_ok=True)
    rgb = picture()
    grey = rgb.convert("L")
    deep = Image.new("I;16", (WIDTH, HEIGHT))
    deep.putdata([257 * v + (60 if v < 200 else -60) for v in grey.getdata()])
    clear = rgb.copy()
    clear.putalpha(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    lossless = {
        "rgb.png": rgb,
        "palette.png": rgb.convert("P", palette=Image.ADAPTIVE, colors=8),
        "alpha.png": clear,
        "grey.png": grey,
        "grey-alpha.png": clear.convert("LA"),
        "bits.png": grey.convert("1", dither=Image.NONE),
        "rgb.bmp": rgb,
        "rgb.ppm": rgb,
        "grey.pgm": grey,
        "rgb.tif": rgb,
        "rgb.gif": rgb.convert("P", palette=Image.ADAPTIVE, colors=8),
    }
    lines = []

    def add(name, image):
        pixels = bytes(value for pixel in image.convert("RGB").getdata() for value in pixel)
        lines.append(f"{name} {image.width} {image.height} {pixels.hex()}")

    for name, image in lossless.items():
        image.save(HERE / name)
        add(name, Image.open(HERE / name))
    rgb.save(HERE / "rgb.webp", lossless=True)
    add("rgb.webp", Image.open(HERE / "rgb.webp"))
    deep.save(HERE / "deep.png")
    add("deep.png", grey)  # Pillow clips 16 bits; these are rounded
    rgb.convert("CMYK").save(HERE / "cmyk.jpg", quality=100)
    add("cmyk.jpg", Image.open(HERE / "cmyk.jpg"))
    for orientation in range(1, 9):
        name, exif = f"turned-{orientation}", Image.Exif()
        exif[0x112] = orientation
        for ending in ["jpg", "png"]:
            rgb.save(HERE / f"{name}.{ending}", exif=exif, **({"quality": 95} if ending == "jpg" else {}))
            add(f"{name}.{ending}", ImageOps.exif_transpose(Image.open(HERE / f"{name}.{ending}")))
    (HERE / "pillow.txt").write_text("\n".join(lines) + "\n")


main()

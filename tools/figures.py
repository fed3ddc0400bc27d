"""Draw docs/images/accuracy-cost.svg from the committed accuracy result.

python tools/figures.py
"""

from pathlib import Path

from readme_tables import own_size_rows

from edgesdk_benchmarks.report.charts import accuracy_cost

ROOT = Path(__file__).parent.parent
STYLE = ROOT / "benchmarks" / "edgesdk_benchmarks" / "report" / "style.css"


def main() -> None:
    """Write the figure: every model at its own input size, the teacher at all of these."""
    points = [
        (f"{row['model']}, {row['face_px']} px", row["ms_per_face"], 100 * row["accuracy"])
        for row in own_size_rows()
        if row["precision"] == "fp32"
    ]
    svg = accuracy_cost(points, "ms per face on one CPU thread, from crop to embedding")
    style = STYLE.read_text().replace("body {", "svg {")
    svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    inside = svg.index(">") + 1
    ground = '<rect width="100%" height="100%" style="fill:var(--card)"/>'
    out = ROOT / "docs" / "images" / "accuracy-cost.svg"
    out.write_text(f"{svg[:inside]}<style>{style}</style>{ground}{svg[inside:]}\n")
    print(out)


if __name__ == "__main__":
    main()

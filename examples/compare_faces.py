"""The Python API on real pictures: embed crops, find the faces of a photo, compare.

python examples/compare_faces.py [BUNDLE]
"""

import sys
from pathlib import Path

from pictures import ALIGNED, conditions

import edgesdk

bundle = sys.argv[1] if len(sys.argv) > 1 else "bridge-face"

with edgesdk.FacePipeline(bundle) as pipeline:
    crops = conditions(edgesdk.read_image(ALIGNED))
    embeddings = pipeline.embed(list(crops.values()))
    print("embeddings", embeddings.shape, embeddings.dtype)

    for name, crop in crops.items():
        result = pipeline.compare(crops["112px"], crop)
        print(f"{name:<8} similarity {result.similarity:.4f}  {result.decision}")
    print(result.reason)

    # A whole photo needs the detector: pip install 'edgesdk[teachers]'
    for face in pipeline.faces(Path(__file__).with_name("astronaut.jpg")):
        x, y, width, height = face.detection.box
        print(f"face at {x:.0f}, {y:.0f}, {width:.0f} x {height:.0f} pixels")

"""Two halves of one class: fish alone and fish in hands, young and adult dogs.

Numbers of photographs among those of the class in the validation half of Imagenette, in the order
of their file names. They were sorted by eye from thumbnails before anything was measured; unclear
photographs were left out.
"""

from __future__ import annotations

# Tench (n01440764): no part of a person is in sight, or a person holds the fish.
FISH_ALONE = (
    0, 2, 4, 5, 9, 15, 22, 26, 32, 33, 40, 44, 53, 62, 64, 69, 77, 82, 90, 93, 94, 98, 102, 107,
    110, 114, 122, 126, 132, 134, 137, 139, 141, 142, 143, 146, 151, 153, 156, 157, 158, 165, 166,
    169, 171, 172, 174, 184, 187, 189, 190, 192, 195, 196, 201, 208, 210, 211, 214, 221, 226, 229,
    234, 236, 238, 240, 245, 246, 250, 251, 256, 257, 264, 276, 279, 280, 288, 293, 294, 302, 303,
    312, 324, 327, 329, 336, 340, 342, 345, 352, 353,
)  # fmt: skip
FISH_IN_HANDS = (
    1, 3, 6, 7, 8, 10, 12, 13, 14, 16, 17, 18, 19, 20, 23, 25, 27, 28, 29, 30, 31, 34, 35, 36, 38,
    39, 41, 42, 43, 45, 46, 47, 48, 50, 51, 52, 54, 55, 57, 58, 60, 61, 63, 65, 66, 67, 70, 71, 72,
    73, 75, 76, 78, 79, 80, 81, 83, 84, 85, 87, 88, 91, 92, 95, 97, 99, 100, 101, 103, 104, 105,
    106, 108, 111, 112, 115, 116, 117, 118, 120, 121, 123, 124, 125, 127, 128, 129, 130, 131, 133,
    135,
)  # fmt: skip
# English springer (n02102040): puppies, or grown dogs.
YOUNG_DOGS = (
    15, 25, 27, 47, 53, 55, 56, 60, 63, 88, 90, 94, 97, 98, 102, 103, 106, 109, 126, 134, 138, 161,
    170, 172, 177, 185, 186, 193, 197, 207, 213, 225, 230, 253, 257, 264, 267, 284, 306, 333, 338,
    346, 352, 356,
)  # fmt: skip
ADULT_DOGS = (
    3, 4, 14, 19, 20, 21, 30, 32, 33, 43, 49, 50, 51, 62, 64, 66, 71, 75, 77, 87, 89, 92, 93, 99,
    104, 105, 111, 114, 117, 118, 123, 130, 132, 133, 139, 144, 147, 149, 159, 160, 165, 181, 182,
    184,
)  # fmt: skip

# The class's place among the ten, its output of 1,000, and the names and members of its halves.
CLASSES = (
    (0, 0, ("fish alone", "fish in hands"), (FISH_ALONE, FISH_IN_HANDS)),
    (1, 217, ("young dogs", "adult dogs"), (YOUNG_DOGS, ADULT_DOGS)),
)

# Groups of classes that become one output: animals and vehicles, sound and sport.
SUPERCLASSES = (((0, 217), (569, 571)), ((482, 566), (574, 701)))

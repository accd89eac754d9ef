"""The study of layers: do three published claims hold in networks that we can measure?"""

"""A run folder as one page of HTML that needs nothing but itself."""

from spp_keras.report.writing import write as write

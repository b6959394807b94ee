"""Comparison of size policies on data of one's own: keep sizes, crop, or warp?"""

from spp_keras.comparison.comparison_table import format_comparison as format_comparison
from spp_keras.comparison.size_policy_comparison import (
    compare_size_policies as compare_size_policies,
)

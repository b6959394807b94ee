"""Backbones of keras-hub and keras-cv with small settings, made without the network."""

import keras


def make_hub_families():
    """Functions that build convolutional backbones of keras-hub, by name."""
    from keras_hub import models

    def resnet(block, pre_activation=False, deep_stem=False):
        return models.ResNetBackbone(
            input_conv_filters=[32, 32, 64] if deep_stem else [64],
            input_conv_kernel_sizes=[3, 3, 3] if deep_stem else [7],
            stackwise_num_filters=[64, 64, 64, 64],
            stackwise_num_blocks=[1, 1, 1, 1],
            stackwise_num_strides=[1, 2, 2, 2],
            block_type=block,
            use_pre_activation=pre_activation,
        )

    def efficientnet(lite=False, fused=False):
        ratio = 0.0 if lite else 0.25
        kinds = ["cba", "fused", "fused", "unfused"] if fused else ["v1"] * 4
        return models.EfficientNetBackbone(
            stackwise_kernel_sizes=[3, 3, 5, 5],
            stackwise_num_repeats=[1, 2, 2, 1],
            stackwise_input_filters=[16, 16, 24, 40],
            stackwise_output_filters=[16, 24, 40, 48],
            stackwise_expansion_ratios=[1, 4, 4, 6],
            stackwise_squeeze_and_excite_ratios=[ratio] * 4,
            stackwise_strides=[1, 2, 2, 2],
            stackwise_block_types=kinds,
            stackwise_width_coefficients=[1.0] * 4,
            stackwise_depth_coefficients=[1.0] * 4,
            stackwise_force_input_filters=[0] * 4,
            stackwise_nores_option=[False] * 4,
            activation="relu6" if lite else "swish",
            num_features=64,
        )

    def mobilenet():
        return models.MobileNetBackbone(
            stackwise_expansion=[[40, 56], [64, 144], [144]],
            stackwise_num_blocks=[2, 2, 1],
            stackwise_num_filters=[[16, 16], [24, 24], [48]],
            stackwise_kernel_size=[[3, 3], [5, 5], [5]],
            stackwise_num_strides=[[2, 1], [2, 1], [2]],
            stackwise_se_ratio=[[None, None], [0.25, 0.25], [0.25]],
            stackwise_activation=[["relu", "relu"], ["hard_swish"] * 2, ["hard_swish"]],
            stackwise_padding=[[1, 1], [2, 2], [2]],
            output_num_filters=96,
            depthwise_filters=8,
            depthwise_stride=2,
            depthwise_residual=False,
            last_layer_filter=96,
            squeeze_and_excite=0.5,
        )

    def mobilenet_v5(fusion):
        blocks = {
            "block_types": [["er"], ["uir", "uir"]],
            "num_filters": [[24], [48, 48]],
            "strides": [[2], [2, 1]],
            "act_layers": [["relu"], ["relu", "relu"]],
            "exp_ratios": [[4.0], [6.0, 6.0]],
            "se_ratios": [[0.0], [0.0, 0.0]],
            "dw_kernel_sizes": [[0], [5, 5]],
            "exp_kernel_sizes": [[3], [0, 0]],
            "pw_kernel_sizes": [[1], [0, 0]],
            "use_cpe": [[False], [False, False]],
        }
        nothing = ("dw_start_kernel_sizes", "dw_end_kernel_sizes", "num_heads", "key_dims")
        nothing += ("value_dims", "kv_strides")
        blocks |= {name: [[0], [0, 0]] for name in nothing}
        return models.MobileNetV5Backbone(
            **{f"stackwise_{name}": value for name, value in blocks.items()},
            stackwise_num_blocks=[1, 2],
            use_msfa=fusion,
            num_features=64,
        )

    def cspnet(stage, block, **settings):
        return models.CSPNetBackbone(
            stem_filters=16,
            stem_kernel_size=3,
            stem_strides=1,
            stackwise_depth=[1, 2, 1],
            stackwise_strides=[1, 2, 2],
            stackwise_num_filters=[16, 32, 48],
            block_type=block,
            stage_type=stage,
            **settings,
        )

    def hgnet(affine=False, light=False):
        return models.HGNetV2Backbone(
            depths=[1, 1, 2],
            embedding_size=16,
            hidden_sizes=[32, 48, 64],
            stem_channels=[3, 16, 16],
            hidden_act="relu",
            use_learnable_affine_block=affine,
            stackwise_stage_filters=[
                (16, 16, 32, 1, 2, 3),
                (32, 16, 48, 1, 2, 3),
                (48, 32, 64, 2, 2, 5),
            ],
            apply_downsample=[False, True, True],
            use_lightweight_conv_block=[False, light, light],
        )

    def xception():
        return models.XceptionBackbone(
            stackwise_conv_filters=[[16, 32], [32, 48], [48, 48]],
            stackwise_pooling=[True, True, False],
        )

    return {
        "ResNetBackbone": lambda: resnet("basic_block"),
        "ResNetBackbone, bottleneck": lambda: resnet("bottleneck_block"),
        "ResNetBackbone, V2": lambda: resnet("basic_block", pre_activation=True),
        "ResNetBackbone, vd": lambda: resnet("bottleneck_block_vd", deep_stem=True),
        "VGGBackbone": lambda: models.VGGBackbone([1, 1, 2], [16, 32, 48]),
        "DenseNetBackbone": lambda: models.DenseNetBackbone([2, 2, 2], growth_rate=8),
        "MobileNetBackbone": mobilenet,
        "MobileNetV5Backbone": lambda: mobilenet_v5(fusion=False),
        "MobileNetV5Backbone, fusion": lambda: mobilenet_v5(fusion=True),
        "EfficientNetBackbone": efficientnet,
        "EfficientNetBackbone, lite": lambda: efficientnet(lite=True),
        "EfficientNetBackbone, fused": lambda: efficientnet(fused=True),
        "CSPNetBackbone, csp": lambda: cspnet(
            "csp", "bottleneck_block", bottle_ratio=[0.5], expand_ratio=[2.0]
        ),
        "CSPNetBackbone, dark": lambda: cspnet("dark", "dark_block"),
        "CSPNetBackbone, cs3": lambda: cspnet("cs3", "edge_block", block_ratio=[0.5]),
        "CSPNetBackbone, average": lambda: cspnet(
            "csp", "dark_block", block_ratio=[0.5], avg_down=True
        ),
        "XceptionBackbone": xception,
        "HGNetV2Backbone": hgnet,
        "HGNetV2Backbone, affine": lambda: hgnet(affine=True),
        "HGNetV2Backbone, light": lambda: hgnet(light=True),
        "RetinaNetBackbone": lambda: models.RetinaNetBackbone(
            resnet("basic_block"), min_level=3, max_level=6, use_p5=True
        ),
        "DeepLabV3Backbone": lambda: models.DeepLabV3Backbone(
            resnet("basic_block"),
            spatial_pyramid_pooling_key="P4",
            upsampling_size=2,
            dilation_rates=[2, 4],
        ),
        "BASNetBackbone": lambda: models.BASNetBackbone(resnet("basic_block"), num_classes=1),
        # Attention over cells.
        "MiTBackbone": lambda: models.MiTBackbone(
            layerwise_depths=[1, 1],
            num_layers=2,
            layerwise_num_heads=[1, 2],
            layerwise_sr_ratios=[4, 2],
            max_drop_path_rate=0.1,
            layerwise_patch_sizes=[7, 3],
            layerwise_strides=[4, 2],
            image_shape=(64, 64, 3),
            hidden_dims=[16, 32],
        ),
        "SwinTransformerBackbone": lambda: models.SwinTransformerBackbone(
            image_shape=(64, 64, 3),
            patch_size=4,
            embed_dim=16,
            depths=[1, 1],
            num_heads=[1, 2],
            window_size=4,
        ),
        "ViTBackbone": lambda: models.ViTBackbone(
            image_shape=(64, 64, 3),
            patch_size=16,
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            mlp_dim=32,
        ),
    }


def make_pyramid(backbone):
    """A model with every level of a backbone that has several; other backbones as they are."""
    if not getattr(backbone, "pyramid_outputs", None):
        return backbone
    return keras.Model(backbone.input, dict(backbone.pyramid_outputs), name=backbone.name)


def make_cv_families():
    """The same of keras-cv, where it is installed."""
    from keras_cv import models

    rescaled = {"include_rescaling": True}
    efficientnet = {
        "stackwise_kernel_sizes": [3, 3, 5, 5],
        "stackwise_num_repeats": [1, 2, 2, 1],
        "stackwise_input_filters": [32, 16, 24, 40],
        "stackwise_output_filters": [16, 24, 40, 48],
        "stackwise_expansion_ratios": [1, 4, 4, 6],
        "stackwise_strides": [1, 2, 2, 2],
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        **rescaled,
    }
    squeezed = {"stackwise_squeeze_and_excite_ratios": [0.25] * 4}
    resnet = {
        "stackwise_filters": [64, 64, 64],
        "stackwise_blocks": [2, 2, 2],
        "stackwise_strides": [1, 2, 2],
        **rescaled,
    }
    darknet = {"stackwise_channels": [16, 32, 48, 64], "stackwise_depth": [1, 2, 2, 1], **rescaled}
    return {
        "VGG16Backbone": lambda: models.VGG16Backbone(
            include_top=False, input_shape=(None, None, 3), **rescaled
        ),
        "DenseNetBackbone": lambda: models.DenseNetBackbone(
            stackwise_num_repeats=[2, 2, 2], growth_rate=8, **rescaled
        ),
        "ResNetBackbone": lambda: models.ResNetBackbone(**resnet),
        "ResNetBackbone, basic": lambda: models.ResNetBackbone(**resnet, block_type="basic_block"),
        "ResNetV2Backbone": lambda: models.ResNetV2Backbone(**resnet),
        "ResNetV2Backbone, dilated": lambda: models.ResNetV2Backbone(
            **{**resnet, "stackwise_strides": [1, 2, 1]}, stackwise_dilations=[1, 1, 2]
        ),
        "MobileNetV3Backbone": lambda: models.MobileNetV3Backbone(
            stackwise_expansion=[1, 4, 4, 6, 6],
            stackwise_filters=[16, 24, 40, 48, 48],
            stackwise_kernel_size=[3, 3, 5, 5, 5],
            stackwise_stride=[2, 2, 2, 1, 2],
            stackwise_se_ratio=[0.25, None, 0.25, 0.25, 0.25],
            stackwise_activation=["relu", "relu", *["hard_swish"] * 3],
            **rescaled,
        ),
        "EfficientNetV1Backbone": lambda: models.EfficientNetV1Backbone(**efficientnet, **squeezed),
        "EfficientNetV2Backbone": lambda: models.EfficientNetV2Backbone(
            **efficientnet, **squeezed, stackwise_conv_types=["fused", "fused"] + ["unfused"] * 2
        ),
        "EfficientNetLiteBackbone": lambda: models.EfficientNetLiteBackbone(**efficientnet),
        "CSPDarkNetBackbone": lambda: models.CSPDarkNetBackbone(**darknet),
        "CSPDarkNetBackbone, depthwise": lambda: models.CSPDarkNetBackbone(
            **darknet, use_depthwise=True
        ),
        "YOLOV8Backbone": lambda: models.YOLOV8Backbone(**darknet),
    }

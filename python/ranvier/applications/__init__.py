"""Networks of the literature under Keras's names, with the weights that were trained on ImageNet.

Each module holds the network, ``preprocess_input`` for its images and ``decode_predictions`` for its answers.
"""

from ranvier.applications import densenet as densenet
from ranvier.applications import imagenet_utils as imagenet_utils
from ranvier.applications import inception_resnet_v2 as inception_resnet_v2
from ranvier.applications import inception_v3 as inception_v3
from ranvier.applications import lenet5 as lenet5
from ranvier.applications import mobilenet as mobilenet
from ranvier.applications import mobilenet_v2 as mobilenet_v2
from ranvier.applications import nasnet as nasnet
from ranvier.applications import resnet as resnet
from ranvier.applications import resnet50 as resnet50
from ranvier.applications import resnet_v2 as resnet_v2
from ranvier.applications import squeezenet as squeezenet
from ranvier.applications import vgg16 as vgg16
from ranvier.applications import vgg19 as vgg19
from ranvier.applications import xception as xception
from ranvier.applications.densenet import DenseNet121 as DenseNet121
from ranvier.applications.densenet import DenseNet169 as DenseNet169
from ranvier.applications.densenet import DenseNet201 as DenseNet201
from ranvier.applications.inception_resnet_v2 import InceptionResNetV2 as InceptionResNetV2
from ranvier.applications.inception_v3 import InceptionV3 as InceptionV3
from ranvier.applications.lenet5 import LeNet5 as LeNet5
from ranvier.applications.mobilenet import MobileNet as MobileNet
from ranvier.applications.mobilenet_v2 import MobileNetV2 as MobileNetV2
from ranvier.applications.nasnet import NASNetLarge as NASNetLarge
from ranvier.applications.nasnet import NASNetMobile as NASNetMobile
from ranvier.applications.resnet import ResNet50 as ResNet50
from ranvier.applications.resnet import ResNet101 as ResNet101
from ranvier.applications.resnet import ResNet152 as ResNet152
from ranvier.applications.resnet_v2 import ResNet50V2 as ResNet50V2
from ranvier.applications.resnet_v2 import ResNet101V2 as ResNet101V2
from ranvier.applications.resnet_v2 import ResNet152V2 as ResNet152V2
from ranvier.applications.squeezenet import SqueezeNet as SqueezeNet
from ranvier.applications.vgg16 import VGG16 as VGG16
from ranvier.applications.vgg19 import VGG19 as VGG19
from ranvier.applications.xception import Xception as Xception

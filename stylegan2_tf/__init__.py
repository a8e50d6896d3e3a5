"""StyleGAN2 for medical images on TensorFlow 2 and Keras 3.

Public names load on first use; importing the package imports neither TensorFlow nor Keras,
except that `keras.saving.load_model` finds this package's classes after `import stylegan2_tf`.
"""

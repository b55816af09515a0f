//! Properties that must hold for all frames, methods, properties and tables, and RabbitMQ's answers to bad ones.

mod contents;
mod frames;
mod methods;
mod strategies;
mod tables;
